//! Git repositories over smart HTTP on loopback, served by `git http-backend`: for the demo and for tests.

mod backend;

mod repository;
pub use repository::create;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tower_http::limit::RequestBodyLimitLayer;

use backend::Backend;

/// Each request runs up to three processes of git.
const REQUESTS_AT_ONCE_MAX: usize = 32;
/// Far more than any fleet's documents.
const BODY_BYTES_MAX: usize = 1 << 30;

/// Serves until it is dropped.
pub struct GitServer {
    pub addr: SocketAddr,
    task: JoinHandle<()>,
}

impl GitServer {
    /// Serves every repository in the folder `repositories`, to be read and written without identity.
    ///
    /// `on_push` hears the name of a repository after a push that moved one of its references.
    pub async fn start(
        repositories: &Path,
        listen: SocketAddr,
        on_push: impl Fn(&str) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        if !listen.ip().is_loopback() {
            let why = format!("{listen} is not on loopback, and this server lets everybody write");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let listener = TcpListener::bind(listen).await?;
        let addr = listener.local_addr()?;
        let server = Arc::new(Server {
            repositories: repositories.canonicalize()?,
            backend: Backend::find(repositories).await?,
            slots: Arc::new(Semaphore::new(REQUESTS_AT_ONCE_MAX)),
            on_push: Arc::new(on_push),
        });
        let router = Router::new()
            .fallback(serve)
            .layer(RequestBodyLimitLayer::new(BODY_BYTES_MAX))
            .with_state(server);
        // Without it, replies that come in pieces wait for acknowledgements.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the git server stopped");
            }
        });
        Ok(Self { addr, task })
    }

    pub fn url(&self, repository: &str) -> String {
        format!("http://{}/{repository}", self.addr)
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Server {
    repositories: PathBuf,
    backend: Backend,
    slots: Arc<Semaphore>,
    on_push: Arc<dyn Fn(&str) + Send + Sync>,
}

async fn serve(State(server): State<Arc<Server>>, request: Request) -> Response {
    let Some(call) = Call::read(&request) else { return StatusCode::NOT_FOUND.into_response() };
    let repository = server.repositories.join(&call.repository);
    if !repository.join("HEAD").is_file() {
        return StatusCode::NOT_FOUND.into_response();
    }
    let Ok(slot) = server.slots.clone().acquire_owned().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let before = if call.writes { Some(repository::tips(&repository).await) } else { None };
    let on_push = server.on_push.clone();
    let done = async move {
        if let Some(before) = before
            && repository::tips(&repository).await != before
        {
            on_push(&call.repository);
        }
        drop(slot);
    };
    server.backend.run(request, call.writes, done).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "git http-backend failed");
        StatusCode::BAD_GATEWAY.into_response()
    })
}

/// One of the three requests of the smart protocol; there is nothing else to serve.
struct Call {
    repository: String,
    writes: bool,
}

impl Call {
    fn read(request: &Request) -> Option<Self> {
        let path = request.uri().path().strip_prefix('/')?;
        let (repository, writes) = if request.method() == Method::GET {
            (path.strip_suffix("/info/refs")?, false)
        } else if request.method() == Method::POST {
            match path.strip_suffix("/git-receive-pack") {
                Some(repository) => (repository, true),
                None => (path.strip_suffix("/git-upload-pack")?, false),
            }
        } else {
            return None;
        };
        let sound = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
        let inside = repository.split('/').all(|name| !name.is_empty() && !name.starts_with('.'));
        (inside && repository.chars().all(sound)).then(|| Self { repository: repository.to_owned(), writes })
    }
}
