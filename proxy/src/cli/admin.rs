//! Speaks to a running server as its operator.

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use super::at_work;
use crate::admin::SOCKET;
use crate::serve::default_data_dir;

#[derive(Debug, Args)]
pub(super) struct Operator {
    /// Folder of the server's log, which holds its socket [default: echo-proxy in the user's data folder]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address of the server's [admin] listener, such as <http://127.0.0.1:4142>, in place of the socket
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// The environment variable that holds that listener's token
    #[arg(long, value_name = "NAME", default_value = "ECHO_ADMIN_TOKEN")]
    token_env: String,
    /// Print the answer as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What the server answers: its JSON, and whether it did what was asked.
pub(super) struct Answered {
    pub(super) done: bool,
    pub(super) body: Value,
}

impl Operator {
    pub(super) fn get(&self, path: &str) -> Result<Value, String> {
        let answered = self.ask(reqwest::Method::GET, path, Vec::new())?;
        if answered.done {
            Ok(answered.body)
        } else {
            Err(answered.message())
        }
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Answered, String> {
        self.ask(reqwest::Method::POST, path, body.to_string().into_bytes())
    }

    pub(super) fn send(&self, path: &str, bytes: Vec<u8>) -> Result<Answered, String> {
        self.ask(reqwest::Method::POST, path, bytes)
    }

    fn ask(&self, method: reqwest::Method, path: &str, body: Vec<u8>) -> Result<Answered, String> {
        // Another part of the process may have chosen a provider first: then that one stays.
        let _already = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder().no_proxy();
        let (builder, base, place) = if let Some(url) = &self.admin {
            (builder, url.trim_end_matches('/').to_owned(), url.clone())
        } else {
            let folder = self.data_dir.clone().unwrap_or_else(default_data_dir);
            let socket = folder.join(SOCKET);
            if !socket.exists() {
                return Err(format!(
                    "no server runs on {}: start one, or name it by --data-dir or --admin",
                    folder.display()
                ));
            }
            let place = socket.display().to_string();
            (builder.unix_socket(socket), "http://echo".to_owned(), place)
        };
        let client = builder.build();
        let client = client.map_err(|error| error.to_string())?;
        let mut request = client.request(method, format!("{base}{path}")).body(body);
        if self.admin.is_some() {
            let token = std::env::var(&self.token_env).map_err(|_| {
                format!("the variable {} holds no token for {place}", self.token_env)
            })?;
            request = request.bearer_auth(token.trim());
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let asking = async {
            let unreachable = |_| format!("no server answers at {place}");
            let response = request.send().await.map_err(unreachable)?;
            let status = response.status();
            let bytes = response.bytes().await.map_err(unreachable)?;
            let body = serde_json::from_slice(&bytes).map_err(|_| {
                format!("{place} answers {status} and no JSON: is it the admin listener?")
            })?;
            Ok(Answered {
                done: status.is_success(),
                body,
            })
        };
        at_work("the server is at work", || runtime.block_on(asking))
    }
}

impl Answered {
    /// What the server says is in the way.
    pub(super) fn message(&self) -> String {
        let message = self.body["error"]["message"].as_str();
        message.unwrap_or("the server did not do it").to_owned()
    }
}
