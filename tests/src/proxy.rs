//! A TCP proxy that can be as bad as a network: slow, dripping, silent, or cut off; it counts what passes and what
//! does not.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const CHUNK: usize = 16 << 10;

/// What the network does to each connection from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Every piece comes later.
    Latency(Duration),
    /// Each connection ends after so many bytes in one direction.
    Reset(u64),
    /// Connections stand and carry nothing. They are dead for good: what mends the network resets them.
    Silence,
    /// So few bytes at a time, with a pause after each.
    Drip(usize, Duration),
    /// Nobody answers.
    Refuse,
}

#[derive(Debug, Default)]
struct Counts {
    down: AtomicU64,
    swallowed: AtomicU64,
}

#[derive(Debug)]
pub struct Proxy {
    pub address: SocketAddr,
    fault: watch::Sender<Fault>,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub async fn start(to: SocketAddr) -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST, to).await
    }

    pub async fn start_at(address: Ipv4Addr, to: SocketAddr) -> Self {
        let listener = TcpListener::bind((address, 0)).await.expect("the address has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let fault = watch::Sender::new(Fault::None);
        let (faults, counts) = (fault.clone(), Arc::<Counts>::default());
        let counted = counts.clone();
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if *faults.borrow() == Fault::Refuse {
                    continue;
                }
                tokio::spawn(carry(near, to, faults.subscribe(), counted.clone()));
            }
        });
        Self { address, fault, counts, task }
    }

    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// Bytes that the other side has sent so far.
    pub fn received(&self) -> u64 {
        self.counts.down.load(Ordering::Relaxed)
    }

    /// Connections that [`Fault::Silence`] has left without an answer so far.
    pub fn swallowed(&self) -> u64 {
        self.counts.swallowed.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Either direction's end is the connection's end.
async fn carry(near: TcpStream, to: SocketAddr, fault: watch::Receiver<Fault>, counts: Arc<Counts>) {
    let Ok(far) = TcpStream::connect(to).await else { return };
    for stream in [&near, &far] {
        stream.set_nodelay(true).ok();
    }
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    let (up, Counts { down, swallowed }) = (AtomicU64::new(0), &*counts);
    tokio::select! {
        () = pump(near_in, far_out, fault.clone(), &up, swallowed) => {}
        () = pump(far_in, near_out, fault, down, swallowed) => {}
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut fault: watch::Receiver<Fault>,
    count: &AtomicU64,
    swallowed: &AtomicU64,
) {
    let (mut buffer, mut carried) = (vec![0; CHUNK], 0);
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            changed = fault.changed() => match (changed, *fault.borrow_and_update()) {
                (Ok(()), Fault::None | Fault::Latency(_) | Fault::Drip(..) | Fault::Silence) => continue,
                _ => return,
            },
        };
        let Ok(size @ 1..) = read else { return };
        count.fetch_add(size as u64, Ordering::Relaxed);
        carried += size as u64;
        let now = *fault.borrow_and_update();
        let piece = match now {
            Fault::Refuse => return,
            Fault::Reset(after) if carried > after => return,
            Fault::Silence => {
                swallowed.fetch_add(1, Ordering::Relaxed);
                fault.changed().await.ok();
                return;
            }
            Fault::Latency(time) => {
                tokio::time::sleep(time).await;
                CHUNK
            }
            Fault::Drip(piece, _) => piece.max(1),
            Fault::None | Fault::Reset(_) => CHUNK,
        };
        for part in buffer[..size].chunks(piece) {
            if to.write_all(part).await.is_err() {
                return;
            }
            if let Fault::Drip(_, pause) = now {
                tokio::time::sleep(pause).await;
            }
        }
    }
}
