//! A network of one's own: every lead in a network namespace, behind a router that drops what it is told to.
//!
//! ```text
//! lead-1 ─┐             ┌─ this process: Git, agents, readers
//! lead-2 ─┼── router ───┘
//! lead-3 ─┘       └─ drops packets by source, destination and port
//! ```
//!
//! The namespaces belong to processes that the kernel ends with this one: nothing is left behind.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use crate::folder;
use crate::process::{Process, run_command};

/// The rules of the router that are ours: it looks at them before it looks for a way.
const PRIORITY: &str = "100";

/// To make a namespace takes some milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Networks of one process stand beside each other.
static NETWORKS: AtomicU8 = AtomicU8::new(0);

/// Addresses of one network.
const SIZE: u8 = 32;

#[derive(Debug)]
pub struct Network {
    /// The lowest of its addresses.
    base: u8,
    router: Process,
    members: BTreeMap<String, Process>,
    rules: Mutex<usize>,
}

/// What is dropped: everything on a way in one direction, or what belongs to one port.
#[derive(Debug, Clone, Copy)]
pub enum Traffic {
    All,
    /// Of connections that are made to this port, both directions.
    To(u16),
}

impl Network {
    /// A namespace for each name. Panics with the way out where that is not possible.
    pub fn new(names: &[String]) -> Self {
        let allowed = run_command(id()).trim() == "0" && Command::new("ip").arg("-V").output().is_ok();
        assert!(
            allowed,
            "partitions need network namespaces: run this as root, with iproute2 (`make setup` installs it), or leave \
             it out with `-- --skip partitions`"
        );
        let number = NETWORKS.fetch_add(1, Ordering::Relaxed);
        let network = Self {
            base: number.checked_mul(SIZE).expect("a process has few networks"),
            router: namespace("router"),
            members: names.iter().map(|name| (name.clone(), namespace(name))).collect(),
            rules: Mutex::new(0),
        };
        network.connect();
        network
    }

    fn connect(&self) {
        let (router, via) = (self.router.id(), self.at(SIZE - 1).to_string());
        within(router, "echo 1 > /proc/sys/net/ipv4/ip_forward");
        within(router, &format!("ip link set lo up; ip address add {via}/32 dev lo"));
        for (number, (name, member)) in self.members.iter().enumerate() {
            let (link, own) = (format!("qn{number}"), self.address(name));
            ip(&format!("link add {link}-{router} type veth peer name eth0 netns {}", member.id()));
            ip(&format!("link set {link}-{router} netns {router}"));
            within(
                router,
                &format!("ip link set {link}-{router} up; ip route add {own} dev {link}-{router}"),
            );
            within(member.id(), &format!("ip link set lo up; ip address add {own}/32 dev eth0"));
            within(member.id(), "ip link set eth0 up");
            within(member.id(), &format!("ip route add {via} dev eth0; ip route add default via {via}"));
        }
        let (link, own) = (format!("qn-{router}"), self.here());
        ip(&format!("link add {link} type veth peer name here netns {router}"));
        within(router, &format!("ip link set here up; ip route add {own} dev here"));
        ip(&format!("address add {own}/32 dev {link}"));
        ip(&format!("link set {link} up"));
        ip(&format!("route add {via} dev {link}"));
        for name in self.members.keys() {
            ip(&format!("route add {} via {via}", self.address(name)));
        }
    }

    /// Of this process: where Git and agents are.
    pub fn here(&self) -> Ipv4Addr {
        self.at(1)
    }

    pub fn address(&self, name: &str) -> Ipv4Addr {
        let number = self.members.keys().position(|known| known == name).expect("a member of that name");
        self.at(10 + u8::try_from(number).expect("a network is small"))
    }

    /// In the range for benchmarks (RFC 2544), apart from other runs on this machine.
    fn at(&self, offset: u8) -> Ipv4Addr {
        let [.., high, low] = std::process::id().to_be_bytes();
        Ipv4Addr::new(198, 18 + (high & 1), low, self.base + offset)
    }

    /// The same command in the namespace of a member.
    pub fn enter(&self, name: &str, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        inside.arg(format!("--net=/proc/{}/ns/net", self.members[name].id())).arg("--");
        inside.arg(command.get_program()).args(command.get_args());
        inside.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
        inside
    }

    /// From now on nothing gets from one to the other; nobody is told.
    pub fn cut(&self, from: Ipv4Addr, to: Ipv4Addr, traffic: Traffic) {
        match traffic {
            Traffic::All => self.drop_what(&format!("from {from} to {to}")),
            Traffic::To(port) => {
                self.drop_what(&format!("from {from} to {to} ipproto tcp dport {port}"));
                self.drop_what(&format!("from {to} to {from} ipproto tcp sport {port}"));
            }
        }
    }

    fn drop_what(&self, what: &str) {
        within(self.router.id(), &format!("ip rule add priority {PRIORITY} {what} blackhole"));
        *self.rules.lock().expect("nobody panics while counting") += 1;
    }

    /// Everything gets through again.
    pub fn heal(&self) {
        let rules = std::mem::take(&mut *self.rules.lock().expect("nobody panics while counting"));
        for _ in 0..rules {
            within(self.router.id(), &format!("ip rule del priority {PRIORITY}"));
        }
    }
}

fn id() -> Command {
    let mut id = Command::new("id");
    id.arg("-u");
    id
}

/// A process that does nothing but hold a network namespace.
fn namespace(name: &str) -> Process {
    let mut command = Command::new("unshare");
    command.args(["--net", "sleep", "infinity"]);
    let log = folder::fresh("network").join(format!("{name}.log"));
    let mut holder = Process::start(name, command, &log).expect("unshare and setpriv are in util-linux");
    let of = |process: &str| std::fs::metadata(format!("/proc/{process}/ns/net")).map(|meta| meta.ino()).ok();
    let start = Instant::now();
    while of(&holder.id().to_string()).is_none_or(|inode| Some(inode) == of("self")) {
        assert!(start.elapsed() < PATIENCE && holder.ended().is_none(), "no namespace:\n{}", holder.tail());
        std::thread::yield_now();
    }
    holder
}

fn ip(words: &str) {
    let mut command = Command::new("ip");
    command.args(words.split_whitespace());
    run_command(command);
}

fn within(process: u32, script: &str) {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/proc/{process}/ns/net")).args(["--", "sh", "-e", "-c", script]);
    run_command(command);
}
