//! One request as a run of `git http-backend`: CGI, with both bodies streamed.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;

use super::repository::without_configuration;

/// A clone that takes longer is stuck.
const TIME_MAX: Duration = Duration::from_secs(300);
/// Pieces of a reply that wait for a slow reader.
const PIECES_MAX: usize = 8;
const PIECE_BYTES: usize = 64 * 1024;
const HEAD_LINES_MAX: usize = 64;

/// What these repositories are served with, whatever their own configuration says.
const CONFIGURATION: [(&str, &str); 6] = [
    ("http.receivepack", "true"),
    ("uploadpack.allowAnySHA1InWant", "true"),
    ("safe.directory", "*"),
    // A push stays the pack that it came as: writing a file for each object takes longer than all the rest.
    ("receive.unpackLimit", "1"),
    // Collecting garbage in the middle of a push would make its pusher wait.
    ("receive.autogc", "false"),
    ("gc.auto", "0"),
];

pub(super) struct Backend {
    program: PathBuf,
    repositories: PathBuf,
}

impl Backend {
    pub(super) async fn find(repositories: &Path) -> io::Result<Self> {
        let mut git = Command::new("git");
        let output = without_configuration(git.arg("--exec-path")).output().await?;
        let folder = String::from_utf8_lossy(&output.stdout);
        let program = Path::new(folder.trim()).join("git-http-backend");
        if !program.is_file() {
            let why = format!("{} is missing; install all of git", program.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, why));
        }
        Ok(Self { program, repositories: repositories.canonicalize()? })
    }

    /// Runs a request; `done` runs when git has ended, whether or not anybody still reads the reply.
    pub(super) async fn run(
        &self,
        request: Request,
        finish: bool,
        done: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<Response> {
        let mut child = self.command(&request).spawn()?;
        let stdin = child.stdin.take().expect("stdin is piped");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let feeding = tokio::spawn(feed(request.into_body().into_data_stream(), stdin));
        let head = tokio::time::timeout(TIME_MAX, read_head(&mut stdout)).await;
        let (send, receive) = mpsc::channel(PIECES_MAX);
        let head = head.map_err(io::Error::from).and_then(|head| head);
        tokio::spawn(async move {
            if tokio::time::timeout(TIME_MAX, pump(stdout, send, finish)).await.is_err() {
                tracing::warn!("a request to git http-backend took too long");
            }
            end(child).await;
            feeding.abort();
            done.await;
        });
        let (status, headers) = head?;
        let pieces = futures::stream::unfold(receive, |mut receive| async {
            receive.recv().await.map(|piece| (piece, receive))
        });
        let mut response = Response::new(Body::from_stream(pieces));
        *response.status_mut() = status;
        response.headers_mut().extend(headers);
        Ok(response)
    }

    fn command(&self, request: &Request) -> Command {
        let mut backend = Command::new(&self.program);
        without_configuration(&mut backend)
            .env("GIT_PROJECT_ROOT", &self.repositories)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("REQUEST_METHOD", request.method().as_str())
            .env("PATH_INFO", request.uri().path())
            .env("QUERY_STRING", request.uri().query().unwrap_or_default())
            .env("REMOTE_ADDR", "127.0.0.1")
            .env("REMOTE_USER", "loopback")
            .env("GIT_CONFIG_COUNT", CONFIGURATION.len().to_string());
        for (at, (key, value)) in CONFIGURATION.iter().enumerate() {
            backend.env(format!("GIT_CONFIG_KEY_{at}"), key).env(format!("GIT_CONFIG_VALUE_{at}"), value);
        }
        for (name, variable) in [
            ("content-type", "CONTENT_TYPE"),
            ("content-length", "CONTENT_LENGTH"),
            ("content-encoding", "HTTP_CONTENT_ENCODING"),
            ("git-protocol", "GIT_PROTOCOL"),
        ] {
            if let Some(value) = request.headers().get(name).and_then(|value| value.to_str().ok()) {
                backend.env(variable, value);
            }
        }
        backend.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        backend
    }
}

async fn feed(mut body: BodyDataStream, mut stdin: ChildStdin) {
    while let Some(Ok(piece)) = body.next().await {
        // Git may have seen enough, then nobody reads on.
        if stdin.write_all(&piece).await.is_err() {
            return;
        }
    }
}

async fn read_head(
    stdout: &mut BufReader<ChildStdout>,
) -> io::Result<(StatusCode, Vec<(HeaderName, HeaderValue)>)> {
    let bad = |line: &str| io::Error::new(io::ErrorKind::InvalidData, format!("`{}`", line.escape_debug()));
    let mut status = StatusCode::OK;
    let mut headers = Vec::new();
    for _ in 0..HEAD_LINES_MAX {
        let mut line = String::new();
        stdout.read_line(&mut line).await?;
        let text = line.trim_end();
        if text.is_empty() && !line.is_empty() {
            return Ok((status, headers));
        }
        let (name, value) = text.split_once(':').ok_or_else(|| bad(&line))?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().unwrap_or_default();
            status = code.parse().map_err(|_| bad(&line))?;
        } else {
            let name: HeaderName = name.parse().map_err(|_| bad(&line))?;
            if name != header::CONNECTION {
                headers.push((name, value.parse().map_err(|_| bad(&line))?));
            }
        }
    }
    Err(bad("too many headers"))
}

/// Passes the reply on; a push is `finish`ed even when its pusher has hung up, as hooks may be running.
async fn pump(mut stdout: BufReader<ChildStdout>, send: mpsc::Sender<io::Result<Bytes>>, finish: bool) {
    let mut heard = true;
    loop {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let read = stdout.read_buf(&mut piece).await;
        if matches!(read, Ok(0)) {
            return;
        }
        let failed = read.is_err();
        heard = heard && send.send(read.map(|_| piece.into())).await.is_ok();
        if failed || !(heard || finish) {
            return;
        }
    }
}

async fn end(mut child: Child) {
    const GRACE: Duration = Duration::from_secs(1);
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        // It is stuck, or nobody waits for it.
        let _ = child.kill().await;
    }
}
