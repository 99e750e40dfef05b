//! Tokens and keys reach their host, nobody else, and no message.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use qonnect_git::{Credentials, Depth, Error, Mirror, Remote};

use super::servers::{self, PATIENCE};

/// Answers every request alike, and keeps what was asked.
struct Recorder {
    addr: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    fn new(answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let record = requests.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut request = [0; 4096];
                let length = stream.read(&mut request).unwrap_or(0);
                record.lock().unwrap().push(String::from_utf8_lossy(&request[..length]).into_owned());
                stream.write_all(answer.as_bytes()).ok();
            }
        });
        Self { addr, requests }
    }

    fn authorizations(&self) -> Vec<Option<String>> {
        let of = |request: &String| {
            let line = request.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization:"));
            line.and_then(|line| line.split_once(": ")).map(|(_, value)| value.to_owned())
        };
        self.requests.lock().unwrap().iter().map(of).collect()
    }
}

const DENIED: &str = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

fn with_token(url: String, token: &str) -> (Mirror, std::path::PathBuf) {
    let folder = qonnect_tests::folder::fresh("git-secrets");
    let file = folder.join("token");
    std::fs::write(&file, token).unwrap();
    let remote = Remote::new(url, Credentials::Token { file: file.clone() });
    (Mirror::open(&folder.join("clone"), remote).unwrap(), file)
}

#[test]
fn a_refused_token_is_an_error_of_authorization_without_the_token() {
    let host = Recorder::new(DENIED.into());
    let (mut mirror, _) = with_token(format!("http://{}/fleet.git", host.addr), "hunter2\n");
    let error = mirror.fetch("deploy", Depth::Full, PATIENCE).unwrap_err();
    assert!(matches!(error, Error::Auth { .. }), "{error:?}");
    assert!(!format!("{error:?} {error}").contains("hunter2"));
}

#[test]
fn a_renewed_token_is_used_at_once() {
    let host = Recorder::new(DENIED.into());
    let (mut mirror, file) = with_token(format!("http://{}/fleet.git", host.addr), "old\n");
    mirror.fetch("deploy", Depth::Full, PATIENCE).unwrap_err();
    std::fs::write(file, "new\n").unwrap();
    mirror.fetch("deploy", Depth::Full, PATIENCE).unwrap_err();
    let basic = |value: &str| Some(format!("Basic {value}"));
    // base64 of x-access-token:old and x-access-token:new
    let expected = [basic("eC1hY2Nlc3MtdG9rZW46b2xk"), basic("eC1hY2Nlc3MtdG9rZW46bmV3")];
    assert_eq!(host.authorizations(), expected);
}

#[test]
fn a_redirect_to_another_host_does_not_carry_the_token() {
    let other = Recorder::new(DENIED.into());
    let to = format!("http://{}/elsewhere.git/info/refs?service=git-upload-pack", other.addr);
    let redirect =
        format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let host = Recorder::new(redirect);
    let (mut mirror, _) = with_token(format!("http://{}/fleet.git", host.addr), "hunter2");
    mirror.fetch("deploy", Depth::Full, PATIENCE).unwrap_err();
    assert!(host.authorizations()[0].is_some());
    assert_eq!(other.authorizations(), [None]);
}

#[test]
fn redirects_that_go_in_circles_end() {
    let host = Recorder::new(
        "HTTP/1.1 302 Found\r\nlocation: /again.git/info/refs\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            .into(),
    );
    let (mut mirror, _) = with_token(format!("http://{}/fleet.git", host.addr), "hunter2");
    let error = mirror.fetch("deploy", Depth::Full, PATIENCE).unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error:?}");
}

#[test]
fn a_repository_that_moved_is_followed_for_reading_and_writing() {
    let server = servers::http();
    let moved = Recorder::new(format!(
        "HTTP/1.1 301 Moved\r\nlocation: {}/info/refs?service=git-upload-pack\r\ncontent-length: 0\r\n\
         connection: close\r\n\r\n",
        server.remote.url
    ));
    let url = format!("http://{}/old.git", moved.addr);
    let folder = qonnect_tests::folder::fresh("git-moved").join("clone");
    let mut mirror = Mirror::open(&folder, Remote::new(url, Credentials::None)).unwrap();
    assert_eq!(mirror.fetch("deploy", Depth::Full, PATIENCE).unwrap(), None);
    let first = super::contract::commit(&mirror, None, "a", "1");
    super::contract::published(&mut mirror, &first, None);
    assert_eq!(super::contract::tip(&mut server.mirror()), Some(first));
}

#[test]
fn a_token_does_not_cross_the_network_in_clear() {
    let remote =
        Remote::new("http://git.example.org/fleet.git", Credentials::Token { file: "/nonexistent".into() });
    let folder = qonnect_tests::folder::fresh("git-clear").join("clone");
    let refused = Mirror::open(&folder, remote).err().map(|error| error.to_string());
    assert!(refused.as_ref().is_some_and(|why| why.contains("use https")), "{refused:?}");
}

#[test]
fn a_missing_token_file_is_named() {
    let (mut mirror, file) = with_token("http://127.0.0.1:1/fleet.git".into(), "");
    std::fs::remove_file(&file).unwrap();
    let error = mirror.fetch("deploy", Depth::Full, PATIENCE).unwrap_err().to_string();
    assert!(error.contains(&file.display().to_string()), "{error}");
}

#[test]
fn a_host_with_another_key_is_not_spoken_to() {
    let server = servers::ssh();
    let Credentials::SshKey { key, known_hosts } = server.remote.credentials.clone() else { unreachable!() };
    let pinned = std::fs::read_to_string(&known_hosts).unwrap();
    let client_key = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let host = pinned.split_whitespace().next().unwrap();
    std::fs::write(&known_hosts, format!("{host} {client_key}")).unwrap();
    let fetched = server.mirror().fetch("deploy", Depth::Full, PATIENCE);
    assert!(matches!(fetched, Err(Error::Auth { .. })), "{fetched:?}");
}

#[test]
fn a_key_that_the_host_does_not_know_is_refused() {
    let server = servers::ssh();
    let stranger = servers::ssh();
    let (Credentials::SshKey { known_hosts, .. }, Credentials::SshKey { key, .. }) =
        (server.remote.credentials.clone(), stranger.remote.credentials.clone())
    else {
        unreachable!()
    };
    let credentials = Credentials::SshKey { key, known_hosts };
    let folder = qonnect_tests::folder::fresh("git-stranger").join("clone");
    let mut mirror = Mirror::open(&folder, Remote::new(&*server.remote.url, credentials)).unwrap();
    let fetched = mirror.fetch("deploy", Depth::Full, PATIENCE);
    assert!(matches!(fetched, Err(Error::Auth { .. })), "{fetched:?}");
}

#[test]
fn a_host_with_a_certificate_of_its_own_is_trusted_by_the_authority_that_is_named() {
    let server = servers::https();
    let folder = qonnect_tests::folder::fresh("git-authority");
    let fetched = |name: &str, remote: Remote| {
        Mirror::open(&folder.join(name), remote).unwrap().fetch("deploy", Depth::Full, PATIENCE)
    };
    assert_eq!(fetched("named", server.remote.clone()).unwrap(), None);
    let unnamed = fetched("unnamed", Remote { authority: None, ..server.remote.clone() }).unwrap_err();
    let why = unnamed.to_string();
    assert!(matches!(unnamed, Error::Unreachable { .. }) && why.contains("certificate"), "{why}");
    for (name, text) in
        [("absent", None), ("empty", Some("")), ("garbled", Some("-----BEGIN CERTIFICATE-----\nx"))]
    {
        let authority = folder.join(format!("{name}.pem"));
        if let Some(text) = text {
            std::fs::write(&authority, text).unwrap();
        }
        let unusable = fetched(name, Remote { authority: Some(authority.clone()), ..server.remote.clone() });
        let why = unusable.unwrap_err().to_string();
        assert!(why.contains(authority.to_str().unwrap()), "{name}: {why}");
    }

    let Credentials::Basic { file, .. } = &server.remote.credentials else { unreachable!() };
    std::fs::write(file, "hunter2\n").unwrap();
    let refused = fetched("refused", server.remote.clone()).unwrap_err();
    assert!(matches!(refused, Error::Auth { .. }), "{refused:?}");
    assert!(!format!("{refused:?} {refused}").contains("hunter2"));
}
