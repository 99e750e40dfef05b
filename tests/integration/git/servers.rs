//! Real servers of git, each with one empty repository that everybody may write to.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use qonnect::git_server::GitServer;
use qonnect_git::{Credentials, Mirror, Remote};
use qonnect_tests::folder;
use qonnect_tests::ports::free_port;
use qonnect_tests::process::{Process, run_command};

/// Ample for a busy machine, and still an end.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A server and its repository. What is held ends with it.
pub(super) struct Server {
    pub(super) remote: Remote,
    /// The bare repository on disk, to be changed behind the server's back.
    pub(super) repository: PathBuf,
    pub(super) runs_hooks: bool,
    clones: PathBuf,
    opened: AtomicUsize,
    _http: Option<(GitServer, tokio::runtime::Runtime)>,
    process: Option<Process>,
}

impl Server {
    /// A clone of its own for every call.
    pub(super) fn mirror(&self) -> Mirror {
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        Mirror::open(&self.clones.join(number.to_string()), self.remote.clone()).unwrap()
    }

    pub(super) fn git(&self, args: &[&str]) -> String {
        git(&self.repository, args)
    }

    pub(super) fn hook(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let hook = self.repository.join("hooks").join(name);
        std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
        std::fs::write(&hook, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn new(name: &str) -> (PathBuf, Self) {
        let root = folder::fresh(name);
        let repository = root.join("repositories/fleet.git");
        std::fs::create_dir_all(&repository).unwrap();
        git(&repository, &["init", "--quiet", "--bare", "--initial-branch=main", "--template="]);
        let server = Self {
            remote: Remote::new(repository.display().to_string(), Credentials::None),
            repository,
            runs_hooks: true,
            clones: root.join("clones"),
            opened: AtomicUsize::new(0),
            _http: None,
            process: None,
        };
        (root, server)
    }
}

/// The ordinary git, without the configuration of this machine.
pub(super) fn git(folder: &Path, args: &[&str]) -> String {
    let mut git = Command::new("git");
    without_configuration(git.current_dir(folder).args(args));
    run_command(git).trim_end().to_owned()
}

fn without_configuration(git: &mut Command) {
    git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    for (key, value) in [
        ("GIT_AUTHOR_NAME", "Ada"),
        ("GIT_AUTHOR_EMAIL", "ada@example.org"),
        ("GIT_COMMITTER_NAME", "Ada"),
        ("GIT_COMMITTER_EMAIL", "ada@example.org"),
    ] {
        git.env(key, value);
    }
}

pub(super) fn http() -> Server {
    let (root, mut server) = Server::new("git-http");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let loopback = "127.0.0.1:0".parse().unwrap();
    let http =
        runtime.block_on(GitServer::start(&root.join("repositories"), loopback, |_: &str| {})).unwrap();
    server.remote.url = http.url("fleet.git");
    server._http = Some((http, runtime));
    server
}

/// A web server of people's own: TLS by a private authority, a password, and git's own `http-backend` as CGI.
pub(super) fn https() -> Server {
    let (root, mut server) = Server::new("git-https");
    let at = |name: &str| root.join(name);
    let port = free_port();
    let mut certs = Command::new(qonnect_tests::programs::qonnect());
    run_command({
        certs.args(["certs", "--lead", "git=127.0.0.1", "--out"]).arg(&root);
        certs
    });
    std::fs::write(at("users"), "ada:correct-horse\n").unwrap();
    std::fs::write(at("password"), "correct-horse\n").unwrap();
    let mut folder = Command::new("git");
    folder.arg("--exec-path");
    let programs = run_command(folder);
    let configuration = format!(
        r#"
server.modules = ("mod_openssl", "mod_auth", "mod_authn_file", "mod_setenv", "mod_alias", "mod_cgi")
server.bind = "127.0.0.1"
server.port = {port}
server.document-root = "{root}"
server.upload-dirs = ("{root}")
ssl.engine = "enable"
ssl.pemfile = "{root}/git.pem"
ssl.privkey = "{root}/git.key"
auth.backend = "plain"
auth.backend.plain.userfile = "{root}/users"
auth.require = ("" => ("method" => "basic", "realm" => "fleet", "require" => "valid-user"))
alias.url = ("/git" => "{programs}/git-http-backend")
cgi.assign = ("" => "")
setenv.set-environment = ("GIT_PROJECT_ROOT" => "{root}/repositories", "GIT_HTTP_EXPORT_ALL" => "1",
    "GIT_CONFIG_GLOBAL" => "/dev/null", "GIT_CONFIG_SYSTEM" => "/dev/null")
"#,
        root = root.display(),
        programs = programs.trim(),
    );
    std::fs::write(at("lighttpd.conf"), configuration).unwrap();
    let mut lighttpd = Command::new("/usr/sbin/lighttpd");
    lighttpd.arg("-D").arg("-f").arg(at("lighttpd.conf"));
    let process = Process::start("lighttpd", lighttpd, &at("log"))
        .unwrap_or_else(|error| panic!("{error}; the Debian package lighttpd brings it"));
    server.process = Some(listening(process, port));
    server.remote = Remote {
        url: format!("https://127.0.0.1:{port}/git/fleet.git"),
        credentials: Credentials::Basic { user: "ada".into(), file: at("password") },
        authority: Some(at("ca.pem")),
    };
    server
}

pub(super) fn local() -> Server {
    let (_, mut server) = Server::new("git-local");
    server.runs_hooks = false;
    server
}

pub(super) fn daemon() -> Server {
    let (root, mut server) = Server::new("git-daemon");
    let port = free_port();
    // The program itself: who ends `git daemon` ends a wrapper, and its child goes on.
    let mut folder = Command::new("git");
    folder.arg("--exec-path");
    let mut git = Command::new(Path::new(run_command(folder).trim()).join("git-daemon"));
    without_configuration(&mut git);
    git.args(["--export-all", "--enable=receive-pack", "--reuseaddr", "--listen=127.0.0.1"])
        .arg(format!("--port={port}"))
        .arg(format!("--base-path={}", root.join("repositories").display()));
    server.process = Some(listening(Process::start("git daemon", git, &root.join("log")).unwrap(), port));
    server.remote.url = format!("git://127.0.0.1:{port}/fleet.git");
    server
}

pub(super) fn ssh() -> Server {
    let (root, mut server) = Server::new("git-ssh");
    let at = |name: &str| root.join(name);
    let port = free_port();
    for name in ["host", "client"] {
        let mut keygen = Command::new("ssh-keygen");
        run_command({
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(at(name));
            keygen
        });
    }
    let host_key = std::fs::read_to_string(at("host.pub")).unwrap();
    std::fs::write(at("known_hosts"), format!("[127.0.0.1]:{port} {host_key}")).unwrap();
    std::fs::copy(at("client.pub"), at("authorized_keys")).unwrap();
    let configuration = [
        format!("Port {port}\nListenAddress 127.0.0.1\nHostKey {}", at("host").display()),
        format!("AuthorizedKeysFile {}\nPidFile none", at("authorized_keys").display()),
        "StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password".into(),
        "KbdInteractiveAuthentication no\nMaxStartups 100".into(),
        "SetEnv GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null\n".into(),
    ];
    std::fs::write(at("sshd_config"), configuration.join("\n")).unwrap();
    // Only root is asked for it, and only root can make it.
    std::fs::create_dir_all("/run/sshd").ok();
    let mut sshd = Command::new("/usr/sbin/sshd");
    sshd.args(["-D", "-e", "-f"]).arg(at("sshd_config"));
    let process = Process::start("sshd", sshd, &at("log"))
        .unwrap_or_else(|error| panic!("{error}; the Debian package openssh-server brings sshd"));
    server.process = Some(listening(process, port));
    let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let url = format!("ssh://{}@127.0.0.1:{port}{}", user.trim(), server.repository.display());
    let credentials = Credentials::SshKey { key: at("client"), known_hosts: at("known_hosts") };
    server.remote = Remote::new(url, credentials);
    server
}

fn listening(mut process: Process, port: u16) -> Process {
    let start = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(process.ended().is_none() && start.elapsed() < PATIENCE, "{}", process.tail());
        std::thread::sleep(Duration::from_millis(10));
    }
    process
}
