//! Wires a lead together: its consensus, its API, its two branches, and the core between them.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use qonnect_core::knowledge::{Answer, Change};
use qonnect_core::lead::{Effect, Event, Lead as Core, Told};
use qonnect_git::Lent;
use qonnect_git::signature::Key;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc as queue, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::config::Config;
use super::effects::{Effects, Gone, Term};
use super::liveness::Liveness;
use super::relay::Relay;
use super::trace::Trace;
use super::{deploy, notes, propose, shown, spec, watch as watching};
use crate::api;
use crate::consensus::{self, Consensus, Leadership};

/// A lead that runs in this process. It ends when it is dropped; [`Lead::stop`] also waits.
pub struct Lead {
    pub api_url: String,
    consensus: Consensus,
    server: api::Server,
    tasks: JoinSet<()>,
    core: Option<thread::JoinHandle<()>>,
    core_ended: oneshot::Receiver<()>,
}

/// Where everything that happens is sent; the core takes it in its order.
#[derive(Debug, Clone)]
pub(super) struct Events(mpsc::Sender<Input>);

#[derive(Debug)]
enum Input {
    Event(Event),
    Leading(Term, qonnect_schema::Epoch),
    Stop,
}

impl Events {
    /// After the core has ended nobody needs to know any more.
    pub(super) fn send(&self, event: Event) {
        drop(self.0.send(Input::Event(event)));
    }
}

/// Starts a lead. It serves its API when this returns, and leads as soon as it is elected.
pub async fn start(config: Config) -> anyhow::Result<Lead> {
    let kept = consensus::Config { data: config.data.clone(), node: config.node };
    let consensus = match config.group() {
        Some(group) => Consensus::join(kept, group).await?,
        None => Consensus::start(kept).await?,
    };
    match wire(&config, consensus.clone()).await {
        Ok(lead) => Ok(lead),
        Err(error) => {
            consensus.stop().await;
            Err(error)
        }
    }
}

async fn wire(config: &Config, consensus: Consensus) -> anyhow::Result<Lead> {
    let (sender, inputs) = mpsc::channel();
    let events = Events(sender);
    let mut tasks = JoinSet::new();
    let lent = config.lender().cloned().map(|forge| {
        let (hand, lent) = Lent::new();
        tasks.spawn(crate::forge::lend(forge, hand));
        lent
    });
    let (remote, branch) = (config.remote(lent), config.repository.branch.clone());
    let signers = config.repository.signers.clone();
    let key = config.repository.signing_key.as_deref().map(Key::open).transpose()?;
    let (folder, for_threads) = (config.data.join("git"), events.clone());
    // Opening a clone makes files, and clients that must not be made on an asynchronous thread.
    let opened = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot use {}", folder.display()))?;
        let deploy = deploy::start(&folder.join("deploy"), remote.clone(), key, for_threads.clone())?;
        let spec = spec::start(&folder.join("spec"), remote, branch, signers, for_threads)?;
        anyhow::Ok((deploy, spec))
    });
    let (deploy, spec) = opened.await.context("a thread ended early")??;

    let (revision, shown) = watch::channel(None);
    let (fetch, review) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    // Of the forge, which looks by itself.
    let shows = Arc::new(Notify::new());
    let liveness = Arc::new(Liveness::default());
    let parts = api::Parts {
        consensus: consensus.clone(),
        revision: shown.clone(),
        fetch: fetch.clone(),
        review: review.clone(),
        liveness: liveness.clone(),
        relay: Relay(deploy.clone()),
    };
    let server = api::serve(&config.api(), parts).await?;

    let (proposals, proposed) = queue::unbounded_channel();
    let poll = config.repository.poll.as_duration();
    tasks.spawn(propose::run(consensus.clone(), proposed, events.clone()));
    tasks.spawn(follow(consensus.clone(), events.clone(), poll, review.clone(), shows.clone()));
    tasks.spawn(notes::run(consensus.clone(), liveness.clone(), fetch.clone(), review));
    tasks.spawn(watching::run(spec.clone(), consensus.clone(), fetch.clone(), poll));
    let for_liveness = consensus.clone();
    tasks.spawn(async move { liveness.run(for_liveness, shown).await });
    if let Some(watcher) = watching::local(&config.repository.url, fetch.clone()) {
        // Held until the lead ends.
        tasks.spawn(async move {
            let _watcher = watcher;
            std::future::pending::<()>().await;
        });
    }
    let forge = config.forge.clone().map(|forge| {
        let (orders, ordered) = watch::channel(None);
        let (words, said) = queue::unbounded_channel();
        tasks.spawn(crate::forge::run(forge, ordered, shows, poll, words));
        tasks.spawn(shown::run(said, consensus.clone(), events.clone()));
        orders
    });
    let shows_people = forge.is_some();
    let effects = Effects {
        runtime: Handle::current(),
        consensus: consensus.clone(),
        events,
        deploy,
        spec,
        fetch,
        proposals,
        forge,
        revision,
        term: None,
        alarm: None,
        trace: Trace::default(),
    };
    let (ended, core_ended) = oneshot::channel();
    let body = move || {
        // Dropped however the core ends.
        let _ended: oneshot::Sender<()> = ended;
        let core = if shows_people { Core::with_forge() } else { Core::default() };
        decide(core, &inputs, effects);
    };
    let core = thread::Builder::new().name("lead".into()).spawn(body).context("cannot start a thread")?;
    let api_url = server.url();
    tracing::info!(name = config.name, node = config.node, api = api_url, "the lead has started");
    Ok(Lead { api_url, consensus, server, tasks, core: Some(core), core_ended })
}

impl Lead {
    /// Returns when a part of the lead has ended by itself: its disk failed, or a defect was met.
    pub async fn ended(&mut self) {
        tokio::select! {
            _ = &mut self.core_ended => {}
            _ = self.tasks.join_next() => {}
        }
    }

    /// Ends cleanly: what was recorded is finished after the next start.
    pub async fn stop(mut self) {
        self.consensus.hand_over().await;
        self.server.stop();
        self.tasks.shutdown().await;
        self.consensus.stop().await;
        if let Some(core) = self.core.take() {
            drop(tokio::task::spawn_blocking(move || core.join()).await);
        }
    }
}

/// The core: takes in what has come, then decides once. Planning may take long; nothing else waits for it.
fn decide(mut core: Core, inputs: &mpsc::Receiver<Input>, mut effects: Effects) {
    let mut batch = vec![Input::Event(Event::Knowledge(effects.consensus.knowledge()))];
    loop {
        for input in batch.drain(..) {
            let event = match input {
                Input::Event(event) => event,
                Input::Leading(term, epoch) => {
                    effects.term = Some(term);
                    Event::Leading(epoch)
                }
                Input::Stop => return,
            };
            if matches!(event, Event::Deposed) {
                effects.term = None;
                effects.trace.deposed();
            }
            if step(&mut effects, || core.observe(event)).is_err() {
                return;
            }
        }
        if step(&mut effects, || core.decide(Timestamp::now())).is_err() {
            return;
        }
        let Ok(next) = inputs.recv() else { return };
        batch.push(next);
        batch.extend(inputs.try_iter());
    }
}

fn step(effects: &mut Effects, think: impl FnOnce() -> Vec<Effect>) -> Result<(), Gone> {
    let begun = Instant::now();
    let wanted = think();
    effects.trace.planned(begun.elapsed());
    wanted.into_iter().try_for_each(|effect| effects.carry_out(effect))
}

/// Tells the core what the Knowledge Base knows, who leads, and when to look at the deploy branch; at the review
/// branches also when somebody says so.
async fn follow(
    consensus: Consensus,
    events: Events,
    poll: Duration,
    review: Arc<Notify>,
    shows: Arc<Notify>,
) {
    let (mut knowledge, mut leadership) = (consensus.changes(), consensus.leadership());
    let _stop = StopOnDrop(events.clone());
    let mut led = None;
    // Git work of the leadership that is: it ends with it, whatever the core and the remote do.
    let mut end = CancellationToken::new().drop_guard();
    let mut look = Instant::now() + watching::spread(poll);
    loop {
        let now = *leadership.borrow_and_update();
        if led != now {
            led = now;
            let token = CancellationToken::new();
            drop(std::mem::replace(&mut end, token.clone().drop_guard()));
            match now {
                Some(leadership) => lead(&consensus, Term { leadership, end: token }, &events).await,
                None => {
                    tracing::info!("this lead does not lead any more");
                    events.send(Event::Deposed);
                }
            }
        }
        tokio::select! {
            changed = leadership.changed() => if changed.is_err() { break },
            changed = knowledge.changed() => {
                if changed.is_err() { break }
                events.send(Event::Knowledge(knowledge.borrow_and_update().clone()));
            }
            () = tokio::time::sleep_until(look) => {
                look = Instant::now() + watching::spread(poll);
                events.send(Event::Poll);
            }
            () = review.notified() => {
                events.send(Event::Review(Told::Moved));
                shows.notify_one();
            }
        }
    }
}

/// Opens the epoch of a leadership; the core hears of it after the state that holds it.
async fn lead(consensus: &Consensus, term: Term, events: &Events) {
    let leadership = term.leadership;
    let Leadership { term: number, node } = leadership;
    let open = Change::OpenEpoch { node, term: number, group: group_id() };
    match propose::propose(consensus, leadership, open).await {
        Some(Answer::Epoch(epoch)) => {
            tracing::info!(%epoch, "this lead leads");
            events.send(Event::Knowledge(consensus.knowledge()));
            drop(events.0.send(Input::Leading(term, epoch)));
        }
        answer => tracing::warn!(?answer, "the epoch was not opened: another leadership has begun"),
    }
}

/// 64 random bits: no two groups of leads that meet on one branch have the same.
fn group_id() -> String {
    format!("{:016x}", RandomState::new().hash_one(Timestamp::now().as_nanosecond()))
}

/// The core keeps senders of its own inputs: it has to be told when the lead ends.
struct StopOnDrop(Events);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        drop(self.0.0.send(Input::Stop));
    }
}
