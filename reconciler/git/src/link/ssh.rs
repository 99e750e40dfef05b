//! Sessions through the program `ssh`: no shell here, pinned host keys, and an end at the deadline.

use std::io::{self, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::Service;
use super::session::{Dial, Pipes};
use crate::deadline::Deadline;
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

    fn command(&self, service: Service, deadline: Deadline) -> Result<Command, Error> {
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
    fn dial(&self, service: Service, deadline: Deadline) -> Result<Pipes, Error> {
        for path in [&self.key, &self.known_hosts] {
            std::fs::File::open(path).map_err(|source| Error::File { path: path.clone(), source })?;
        }
        let mut child = self.command(service, deadline)?.spawn().map_err(Error::Program)?;
        let input = child.stdin.take().expect("stdin is piped");
        let output = child.stdout.take().expect("stdout is piped");
        let complaint = listen(child.stderr.take().expect("stderr is piped"));
        let left = deadline.left().unwrap_or_default();
        let (alive, gone) = mpsc::channel();
        thread::spawn(move || watch(child, &gone, left));
        Ok(Pipes { output: Box::new(Output { output, complaint, _alive: alive }), input: Box::new(input) })
    }
}

/// Ends `child` at the deadline, or a while after its reader has gone.
fn watch(mut child: Child, reader: &Receiver<()>, left: Duration) {
    if reader.recv_timeout(left) == Err(RecvTimeoutError::Disconnected) {
        let end = Instant::now() + FAREWELL;
        while Instant::now() < end && matches!(child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(20));
        }
    }
    // It may have ended by itself, then there is nothing to kill.
    let _ = child.kill();
    let _ = child.wait();
}

fn listen(mut stderr: impl Read + Send + 'static) -> Receiver<String> {
    const BYTES_MAX: u64 = 4096;
    let (say, complaint) = mpsc::channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        let _ = stderr.by_ref().take(BYTES_MAX).read_to_end(&mut text);
        let _ = say.send(plain(&text));
        // A full pipe would stop ssh.
        let _ = io::copy(&mut stderr, &mut io::sink());
    });
    complaint
}

struct Output {
    output: ChildStdout,
    complaint: Receiver<String>,
    /// Dropped with the reader, which tells the watch.
    _alive: Sender<()>,
}

impl Read for Output {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.output.read(buffer)? {
            0 if !buffer.is_empty() => match self.complaint.recv_timeout(COMPLAINT) {
                Ok(text) if !text.is_empty() => Err(io::Error::other(text)),
                _ => Ok(0),
            },
            length => Ok(length),
        }
    }
}
