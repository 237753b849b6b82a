//! The admin listeners: a socket in the data directory, and an address that asks for a token.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;

use super::{AdminError, router};
use crate::server;
use crate::state::Echo;
use crate::upstream::Secret;

/// Where the socket lies in the data directory, in a folder that only the server's user may enter.
pub const SOCKET: &str = "admin/socket";

/// Listens as the configuration says. A socket that cannot be made is reported, and done without.
///
/// # Errors
///
/// If the configured address cannot be listened on.
pub async fn listen(echo: &Arc<Echo>) -> Result<Vec<JoinHandle<()>>, (SocketAddr, io::Error)> {
    let live = echo.live.load_full();
    let admin = &live.config.admin;
    let routes = || router(Arc::clone(echo), admin.body_bytes);
    let mut tasks = Vec::new();
    if admin.socket {
        match socket(&echo.roster.data_dir) {
            Ok(listener) => {
                let stopping = echo.stopping.clone().cancelled_owned();
                let serving = axum::serve(listener, routes()).with_graceful_shutdown(stopping);
                tasks.push(tokio::spawn(async move {
                    if let Err(error) = serving.await {
                        tracing::warn!(%error, "the admin socket failed");
                    }
                }));
            }
            Err(error) => tracing::warn!(%error, "there is no admin socket"),
        }
    }
    if let (Some(address), Some(token)) = (admin.listen, admin.token.clone()) {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| (address, error))?;
        let address = listener.local_addr().unwrap_or(address);
        tracing::info!(%address, "an operator is listened to");
        let guarded: Router = routes().layer(middleware::from_fn_with_state(token, guard));
        let limits = live.config.server.clone();
        let stopping = echo.stopping.clone().cancelled_owned();
        tasks.push(tokio::spawn(server::serve(
            listener, guarded, limits, stopping,
        )));
    }
    Ok(tasks)
}

/// The log's lock is held: a socket that is there already was left by a process that is gone.
fn socket(data_dir: &Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    let path = data_dir.join(SOCKET);
    let folder = path.parent().unwrap_or(data_dir);
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    UnixListener::bind(&path)
}

/// Asks for the token, which is compared in constant time.
async fn guard(State(token): State<Secret>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION);
    let given = given
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let given = given.strip_prefix("Bearer ").unwrap_or_default().trim();
    let digest = |text: &str| Sha256::digest(text.as_bytes());
    if bool::from(digest(given).ct_eq(&digest(token.expose()))) {
        next.run(request).await
    } else {
        let message = "Send `Authorization: Bearer TOKEN`.";
        AdminError::new(StatusCode::UNAUTHORIZED, message).into_response()
    }
}
