use std::net::SocketAddr;
use std::process::{Command, Stdio};

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use reqwest::{Body, Client};
use tokio::net::TcpListener;

use super::cores::Cores;
use super::process::Process;
use crate::error::LoadError;

/// A proxy of hyper's server and reqwest's client, and nothing in between: what any proxy of the two comes to at best.
#[derive(Debug)]
pub(super) struct Bare {
    /// Where it listens.
    pub address: SocketAddr,
    /// Keeps it running.
    pub process: Process,
}

impl Bare {
    /// Starts it before `upstream`, on the proxy's core, by this very program.
    ///
    /// # Errors
    ///
    /// [`LoadError::Program`] when it does not start.
    pub(super) fn start(upstream: SocketAddr, cores: &Cores) -> Result<Self, LoadError> {
        let failed = |error| LoadError::program(NAME, error);
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command
            .arg(super::BARE_FLAG)
            .arg(upstream.to_string())
            .stdout(Stdio::piped());
        let mut process = cores
            .on_the_proxys(|| Process::start(NAME, command))
            .map_err(failed)??;
        let address = process.listens(LISTENS)?;
        Ok(Self { address, process })
    }
}

const NAME: &str = "bare proxy";
const LISTENS: &str = "bare proxy listens on ";

/// Passes requests on to `upstream` until the process is ended, on one thread.
///
/// # Errors
///
/// [`LoadError::Program`] when there is no port to listen on.
pub fn serve(upstream: SocketAddr) -> Result<(), LoadError> {
    let failed = |error| LoadError::program(NAME, error);
    let _already = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().no_proxy().http1_only().tcp_nodelay(true);
    let client = client
        .build()
        .map_err(|error| LoadError::program(NAME, error))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        println!("{LISTENS}{}", listener.local_addr().map_err(failed)?);
        loop {
            let (stream, _) = listener.accept().await.map_err(failed)?;
            stream.set_nodelay(true).map_err(failed)?;
            let client = client.clone();
            let pass = service_fn(move |request| pass(client.clone(), upstream, request));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), pass));
        }
    })
}

async fn pass(
    client: Client,
    upstream: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Body>, Box<dyn std::error::Error + Send + Sync>> {
    let url = format!("http://{upstream}{}", request.uri().path());
    let asked = request.into_body().collect().await?.to_bytes();
    let asking = client.post(url).header(CONTENT_TYPE, "application/json");
    let answer = asking.body(asked).send().await?;
    let mut response = Response::new(Body::default());
    *response.status_mut() = answer.status();
    if let Some(kind) = answer.headers().get(CONTENT_TYPE) {
        response.headers_mut().insert(CONTENT_TYPE, kind.clone());
    }
    *response.body_mut() = Response::from(answer).into_body();
    Ok(response)
}
