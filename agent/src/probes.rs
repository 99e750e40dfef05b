//! The answers to Kubernetes' probes – alive, and ready once the cluster was looked at – and to collectors of metrics.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::warn;

use crate::metrics::{Metrics, OPENMETRICS};

/// A probe that takes longer has given up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// The kubelet asks one at a time; whoever opens more waits.
const PROBES_MAX: usize = 8;
/// Until the next attempt when the system has no file descriptor left.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
#[error("probes: {address} cannot be listened on; is another process there?")]
pub(crate) struct Error {
    address: SocketAddr,
    source: std::io::Error,
}

/// What `/readyz` says. The thread that works also answers: where it hangs, `/healthz` does not answer.
#[derive(Clone)]
pub(crate) struct Probes {
    waits_for: Arc<Mutex<Option<String>>>,
    metrics: Metrics,
}

impl Probes {
    /// Answers at `listen`, or nowhere, until the runtime ends.
    pub(crate) async fn start(listen: Option<SocketAddr>, metrics: Metrics) -> Result<Self, Error> {
        let probes = Self { waits_for: Arc::new(Mutex::new(Some("the cluster".into()))), metrics };
        if let Some(address) = listen {
            let listener = TcpListener::bind(address).await.map_err(|source| Error { address, source })?;
            tokio::spawn(probes.clone().serve(listener));
        }
        Ok(probes)
    }

    pub(crate) fn waits_for(&self, what: String) {
        *self.lock() = Some(what);
    }

    pub(crate) fn ready(&self) {
        *self.lock() = None;
    }

    async fn serve(self, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(PROBES_MAX));
        loop {
            let place = places.clone().acquire_owned().await.expect("nobody closes it");
            match listener.accept().await {
                Ok((stream, _)) => {
                    let probes = self.clone();
                    tokio::spawn(async move {
                        // A probe that fails is the kubelet's to report.
                        tokio::time::timeout(ANSWER_TIMEOUT, probes.answer(stream)).await.ok();
                        drop(place);
                    });
                }
                Err(error) => {
                    warn!(%error, "probe not taken, will retry");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    }

    async fn answer(self, stream: TcpStream) {
        let service = service_fn(|request| {
            let path = request.uri().path();
            let (status, text) = self.say(path);
            let mut response = Response::new(text);
            *response.status_mut() = status;
            let kind = if path == "/metrics" { OPENMETRICS } else { "text/plain; charset=utf-8" };
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            async move { Ok::<_, Infallible>(response) }
        });
        http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service).await.ok();
    }

    fn say(&self, path: &str) -> (StatusCode, String) {
        match (path, self.lock().as_ref()) {
            ("/healthz", _) | ("/readyz", None) => (StatusCode::OK, "ok\n".into()),
            ("/readyz", Some(what)) => (StatusCode::SERVICE_UNAVAILABLE, format!("waits for {what}\n")),
            ("/metrics", _) => (StatusCode::OK, self.metrics.text()),
            _ => (StatusCode::NOT_FOUND, "here are /healthz, /readyz and /metrics\n".into()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.waits_for.lock().expect("no thread panics while it holds this lock")
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn ready_comes_after_alive() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let probes = Probes::start(None, Metrics::default()).await.unwrap();
        tokio::spawn(probes.clone().serve(listener));
        assert!(ask(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        probes.waits_for("the cluster: refused".into());
        let unready = ask(address, "/readyz").await;
        assert!(unready.starts_with("HTTP/1.1 503") && unready.ends_with("waits for the cluster: refused\n"));
        probes.ready();
        assert!(ask(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        assert!(ask(address, "/secrets").await.starts_with("HTTP/1.1 404"));
    }
}
