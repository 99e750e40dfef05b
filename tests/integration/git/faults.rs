//! Servers that hang, drip, or break in the middle: every operation ends, and says no more than it knows.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use qonnect_git::{Credentials, Depth, Error, Mirror, Push, Remote};
use tokio_util::sync::CancellationToken;

use super::contract::{commit, published, tip};
use super::servers::{self, PATIENCE, Server};

const SHORT: Duration = Duration::from_millis(700);
/// What a busy machine may add to it.
const SLACK: Duration = Duration::from_secs(8);

/// A server that treats every connection with `serve`.
fn server(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            std::thread::spawn(move || serve(stream));
        }
    });
    addr
}

const ADVERTISEMENT: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/x-git-upload-pack-advertisement\r\n\r\n";

/// To close with unread bytes would reset the connection before the answer is read.
fn read_request(stream: &TcpStream) {
    let lines = BufReader::new(stream).lines();
    lines.take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty())).for_each(drop);
}

fn silent() -> SocketAddr {
    server(|mut stream| drop(std::io::copy(&mut stream, &mut std::io::sink())))
}

fn mirror(url: String, credentials: Credentials) -> Mirror {
    let folder = qonnect_tests::folder::fresh("git-faults").join("clone");
    Mirror::open(&folder, Remote::new(url, credentials)).unwrap()
}

fn in_time<T>(operation: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = operation();
    assert!(start.elapsed() < SHORT + SLACK, "it took {:?}", start.elapsed());
    result
}

fn ends_at_its_deadline(mut mirror: Mirror) {
    let fetched = in_time(|| mirror.fetch("deploy", Depth::Full, SHORT));
    assert!(matches!(fetched, Err(Error::Deadline { .. })), "{fetched:?}");
    let commit = commit(&mirror, None, "a", "1");
    let push = in_time(|| mirror.publish("deploy", &commit, None, SHORT)).unwrap();
    assert!(matches!(push, Push::Unknown(_)), "{push:?}");
}

#[test]
fn a_silent_http_server_ends_at_the_deadline() {
    ends_at_its_deadline(mirror(format!("http://{}/fleet.git", silent()), Credentials::None));
}

#[test]
fn a_silent_git_daemon_ends_at_the_deadline() {
    ends_at_its_deadline(mirror(format!("git://{}/fleet.git", silent()), Credentials::None));
}

#[test]
fn a_silent_ssh_server_ends_at_the_deadline() {
    let ssh = servers::ssh();
    let silent = silent();
    ends_at_its_deadline(mirror(format!("ssh://git@{silent}/fleet.git"), ssh.remote.credentials));
}

/// A server that answers nothing, and whose caller wants nothing any more once it has called. It tells of a caller
/// that has hung up.
fn silent_until(end: &CancellationToken) -> (SocketAddr, mpsc::Receiver<()>) {
    let (end, (tell, gone)) = (end.clone(), mpsc::channel());
    let address = server(move |mut stream| {
        end.cancel();
        std::io::copy(&mut stream, &mut std::io::sink()).ok();
        tell.send(()).ok();
    });
    (address, gone)
}

fn ends_when_nobody_wants_it(mirror_of: impl Fn(SocketAddr) -> Mirror) {
    let end = CancellationToken::new();
    let (silent, gone) = silent_until(&end);
    let mut mirror = mirror_of(silent);
    mirror.end_with(end);
    let fetched = in_time(|| mirror.fetch("deploy", Depth::Full, PATIENCE));
    assert!(matches!(fetched, Err(Error::Ended)), "{fetched:?}");
    assert!(gone.recv_timeout(SLACK).is_ok(), "the connection still stands");

    let end = CancellationToken::new();
    let (silent, gone) = silent_until(&end);
    let mut mirror = mirror_of(silent);
    mirror.end_with(end);
    let commit = commit(&mirror, None, "a", "1");
    let push = in_time(|| mirror.publish("deploy", &commit, None, PATIENCE)).unwrap();
    assert!(matches!(push, Push::Unknown(_)), "{push:?}");
    assert!(gone.recv_timeout(SLACK).is_ok(), "the connection still stands");
}

#[test]
fn a_silent_http_server_is_left_when_nobody_wants_it() {
    ends_when_nobody_wants_it(|silent| mirror(format!("http://{silent}/fleet.git"), Credentials::None));
}

#[test]
fn a_silent_git_daemon_is_left_when_nobody_wants_it() {
    ends_when_nobody_wants_it(|silent| mirror(format!("git://{silent}/fleet.git"), Credentials::None));
}

#[test]
fn a_silent_ssh_server_is_left_when_nobody_wants_it() {
    let credentials = servers::ssh().remote.credentials;
    ends_when_nobody_wants_it(|silent| mirror(format!("ssh://git@{silent}/fleet.git"), credentials.clone()));
}

#[test]
fn a_server_that_drips_ends_at_the_deadline() {
    let dripping = server(|mut stream| {
        // An answer that comes before the question is a broken connection.
        read_request(&stream);
        // A line of 65,516 bytes that never ends, and is never silent for long.
        let mut alive =
            stream.write_all(format!("{ADVERTISEMENT}001e# service=git-upload-pack\n0000fff0").as_bytes());
        while alive.is_ok() {
            alive = stream.write_all(b"0");
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let mut mirror = mirror(format!("http://{dripping}/fleet.git"), Credentials::None);
    let fetched = in_time(|| mirror.fetch("deploy", Depth::Full, SHORT));
    assert!(matches!(fetched, Err(Error::Deadline { .. })), "{fetched:?}");
}

#[test]
fn an_advertisement_without_its_heading_is_no_empty_repository() {
    let zeros = server(|mut stream| {
        read_request(&stream);
        stream.write_all(format!("{ADVERTISEMENT}00000000").as_bytes()).ok();
    });
    let mut mirror = mirror(format!("http://{zeros}/fleet.git"), Credentials::None);
    let fetched = mirror.fetch("deploy", Depth::Full, PATIENCE);
    assert!(matches!(fetched, Err(Error::Protocol { .. })), "{fetched:?}");
}

#[test]
fn a_server_that_is_away_has_not_acted() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for scheme in ["http", "git"] {
        let mut mirror = mirror(format!("{scheme}://{closed}/fleet.git"), Credentials::None);
        let commit = commit(&mirror, None, "a", "1");
        let push = mirror.publish("deploy", &commit, None, PATIENCE);
        assert!(matches!(push, Err(Error::Unreachable { .. })), "{scheme}: {push:?}");
    }
}

/// Passes on so many bytes of each direction, then cuts the connection.
fn cutting(to: SocketAddr, up: u64, down: u64) -> SocketAddr {
    server(move |mut client| {
        let Ok(mut upstream) = TcpStream::connect(to) else { return };
        let (mut client_in, mut upstream_out) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
        let sending = std::thread::spawn(move || {
            let sent = std::io::copy(&mut (&mut client_in).take(up), &mut upstream_out);
            if sent.is_ok_and(|sent| sent == up) {
                client_in.shutdown(Shutdown::Both).ok();
                upstream_out.shutdown(Shutdown::Both).ok();
            }
        });
        std::io::copy(&mut (&mut upstream).take(down), &mut client).ok();
        client.shutdown(Shutdown::Both).ok();
        sending.join().ok();
        // The reply is read to its end, so that only our side sees the break.
        std::io::copy(&mut upstream, &mut std::io::sink()).ok();
    })
}

fn address(server: &Server) -> SocketAddr {
    server.remote.url.split('/').nth(2).unwrap().parse().unwrap()
}

#[test]
fn a_push_whose_connection_breaks_before_the_server_has_it_is_unknown_and_had_no_effect() {
    let server = servers::http();
    let cut = cutting(address(&server), 300, u64::MAX);
    let mut broken = mirror(format!("http://{cut}/fleet.git"), Credentials::None);
    let commit = commit(&broken, None, "a", &"incompressible? ".repeat(50));
    let push = broken.publish("deploy", &commit, None, PATIENCE).unwrap();
    assert!(matches!(push, Push::Unknown(_)), "{push:?}");
    assert_eq!(tip(&mut server.mirror()), None);
}

#[test]
fn a_push_whose_answer_is_lost_is_unknown_and_can_be_pushed_again() {
    let server = servers::http();
    let cut = cutting(address(&server), u64::MAX, 20);
    let mut broken = mirror(format!("http://{cut}/fleet.git"), Credentials::None);
    let first = commit(&broken, None, "a", "1");
    let push = broken.publish("deploy", &first, None, PATIENCE).unwrap();
    assert!(matches!(push, Push::Unknown(_)), "{push:?}");
    let mut sound = server.mirror();
    let start = Instant::now();
    while tip(&mut sound) != Some(first.clone()) {
        assert!(start.elapsed() < PATIENCE, "the server never took the push");
    }
    assert_eq!(commit(&sound, None, "a", "1"), first);
    published(&mut sound, &first, None);
}

#[test]
fn the_same_breaks_over_the_plain_protocol_are_unknown_too() {
    let server = servers::daemon();
    let lost = cutting(address(&server), 200, u64::MAX);
    let mut broken = mirror(format!("git://{lost}/fleet.git"), Credentials::None);
    let first = commit(&broken, None, "a", "1");
    let push = broken.publish("deploy", &first, None, PATIENCE).unwrap();
    assert!(matches!(push, Push::Unknown(_)), "{push:?}");
    assert_eq!(tip(&mut server.mirror()), None);
}

#[test]
fn a_page_instead_of_git_is_said_to_be_no_repository() {
    let page = server(|mut stream| {
        read_request(&stream);
        let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 5\r\n\r\nhello";
        stream.write_all(page.as_bytes()).ok();
    });
    let mut mirror = mirror(format!("http://{page}/fleet.git"), Credentials::None);
    let error = mirror.fetch("deploy", Depth::Full, PATIENCE).unwrap_err();
    assert!(error.to_string().contains("text/html"), "{error}");
}

#[test]
fn a_repository_that_is_not_there_is_not_found() {
    for server in [servers::http(), servers::ssh(), servers::daemon(), servers::local()] {
        let remote = Remote { url: format!("{}-absent", server.remote.url), ..server.remote.clone() };
        let mut mirror = mirror(remote.url.clone(), remote.credentials);
        let fetched = mirror.fetch("deploy", Depth::Full, PATIENCE);
        assert!(matches!(fetched, Err(Error::NotFound { .. })), "{}: {fetched:?}", remote.url);
    }
}
