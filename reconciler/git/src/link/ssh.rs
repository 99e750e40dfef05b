//! Sessions through the program `ssh`: no shell here, pinned host keys, and an end at the deadline.

use std::io::{self, Read};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::sync::oneshot;

use super::Service;
use super::session::{Dial, Pipes, Timed};
use crate::deadline::{self, Deadline};
use crate::error::{Error, plain};
use crate::remote::{Credentials, SshPlace};

/// How long hooks that follow a push may go on after we have read its outcome.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long we look for what ssh complains of once it has closed its output.
const COMPLAINT: Duration = Duration::from_secs(1);

pub(super) struct Ssh {
    place: SshPlace,
    key: std::path::PathBuf,
    known_hosts: std::path::PathBuf,
}

impl Ssh {
    pub(super) fn new(place: SshPlace, credentials: Credentials) -> Result<Self, Error> {
        match credentials {
            Credentials::SshKey { key, known_hosts } => Ok(Self { place, key, known_hosts }),
            _ => Err(Error::Url {
                url: place.host,
                why: "ssh needs a private key and a file of known hosts in the configuration".into(),
            }),
        }
    }

    fn command(&self, service: Service, deadline: &Deadline) -> Result<Command, Error> {
        let seconds = deadline.left()?.as_secs().max(1);
        let mut ssh = Command::new("ssh");
        // Nothing of this machine's or this user's configuration takes part.
        ssh.env_clear().args(["-F", "/dev/null", "-T"]);
        if let Some(path) = std::env::var_os("PATH") {
            ssh.env("PATH", path);
        }
        for option in [
            "BatchMode=yes",
            "StrictHostKeyChecking=yes",
            "GlobalKnownHostsFile=/dev/null",
            "UpdateHostKeys=no",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "PreferredAuthentications=publickey",
            "ControlPath=none",
            "ServerAliveInterval=15",
        ] {
            ssh.args(["-o", option]);
        }
        ssh.args(["-o", &format!("ConnectTimeout={seconds}")]);
        ssh.args(["-o", &format!("UserKnownHostsFile=\"{}\"", self.known_hosts.display())]);
        ssh.arg("-i").arg(&self.key);
        if let Some(port) = self.place.port {
            ssh.args(["-p", &port.to_string()]);
        }
        // The path holds no character that a shell on the other side would act on.
        ssh.args(["--", &self.place.host, &format!("{} '{}'", service.name(), self.place.path)]);
        ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(ssh)
    }
}

impl Dial for Ssh {
    fn dial(&self, service: Service, deadline: &Deadline) -> Result<Pipes, Error> {
        for path in [&self.key, &self.known_hosts] {
            std::fs::File::open(path).map_err(|source| Error::File { path: path.clone(), source })?;
        }
        let _inside = deadline::enter();
        let mut child = self.command(service, deadline)?.spawn().map_err(Error::Program)?;
        let input = child.stdin.take().expect("stdin is piped");
        let output = child.stdout.take().expect("stdout is piped");
        let (say, complaint) = oneshot::channel();
        deadline::spawn(listen(child.stderr.take().expect("stderr is piped"), say));
        let (alive, gone) = oneshot::channel();
        deadline::spawn(watch(child, gone, deadline.clone()));
        let output = Timed::new(output, deadline);
        let output = Output { output, complaint, deadline: deadline.clone(), _alive: alive };
        Ok(Pipes { output: Box::new(output), input: Box::new(Timed::new(input, deadline)) })
    }
}

/// Ends `child` at the deadline, or a while after its reader has gone.
async fn watch(mut child: Child, reader: oneshot::Receiver<()>, deadline: Deadline) {
    tokio::select! {
        _ = deadline.passed() => {}
        _ = reader => drop(tokio::time::timeout(FAREWELL, child.wait()).await),
    }
    // It may have ended by itself, then there is nothing to kill.
    let _ = child.kill().await;
}

async fn listen(mut stderr: ChildStderr, say: oneshot::Sender<String>) {
    const BYTES_MAX: u64 = 4096;
    let mut text = Vec::new();
    let _ = (&mut stderr).take(BYTES_MAX).read_to_end(&mut text).await;
    let _ = say.send(plain(&text));
    // A full pipe would stop ssh.
    let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
}

struct Output {
    output: Timed<ChildStdout>,
    complaint: oneshot::Receiver<String>,
    deadline: Deadline,
    /// Dropped with the reader, which tells the watch.
    _alive: oneshot::Sender<()>,
}

impl Read for Output {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.output.read(buffer)? {
            0 if !buffer.is_empty() => {
                let complaint = async { tokio::time::timeout(COMPLAINT, &mut self.complaint).await };
                match self.deadline.wait(complaint) {
                    Ok(Ok(Ok(text))) if !text.is_empty() => Err(io::Error::other(text)),
                    _ => Ok(0),
                }
            }
            length => Ok(length),
        }
    }
}
