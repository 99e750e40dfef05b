//! A lead in this process, in front of a Git server that people push to.

use std::path::PathBuf;
use std::time::Duration;

use qonnect::api::client::{Client, Options};
use qonnect::lead::{Config, Lead, start};
use qonnect_schema::api::{Event, PlacementView, RevisionRecord, Verdict};
use qonnect_tests::folder;
use qonnect_tests::git::{Checkout, GitHost};
use qonnect_tests::wait::wait_for;
use qonnect_tests::world::DEPLOY;

const PATIENCE: Duration = Duration::from_secs(60);
const BOOKINFO: &str = "apps/bookinfo/application.yaml";

struct Scene {
    data: PathBuf,
    host: GitHost,
    checkout: Checkout,
    lead: Option<Lead>,
    client: Client,
}

impl Scene {
    async fn new() -> Self {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let repositories = folder::fresh("repositories");
        let host = GitHost::start(&repositories);
        let checkout = Checkout::new(host.url());
        let data = folder::fresh("lead");
        let (lead, client) = lead(&data, host.url()).await;
        let scene = Self { data, host, checkout, lead: Some(lead), client };
        scene.tell();
        scene
    }

    fn tell(&self) {
        let lead = self.lead.as_ref().expect("the lead runs");
        self.host.tell(&format!("{}/hooks/git", lead.api_url));
    }

    async fn stop(&mut self) {
        self.lead.take().expect("the lead runs").stop().await;
    }

    async fn restart(&mut self) {
        self.stop().await;
        let (lead, client) = lead(&self.data, self.host.url()).await;
        (self.lead, self.client) = (Some(lead), client);
        self.tell();
    }

    async fn judged(&self, commit: &str) -> RevisionRecord {
        self.record(commit, "a verdict", |_| true).await
    }

    async fn published(&self, commit: &str) -> RevisionRecord {
        self.record(commit, "a commit on the deploy branch", |record| record.published.is_some()).await
    }

    async fn record(
        &self,
        commit: &str,
        what: &str,
        holds: impl Fn(&RevisionRecord) -> bool,
    ) -> RevisionRecord {
        wait_for(what, PATIENCE, async || {
            let list = self.client.list::<RevisionRecord>().await.map_err(|error| error.to_string())?;
            let record = list.items.iter().find(|record| record.commit == commit && holds(record));
            record.cloned().ok_or_else(|| format!("{:?}", list.items))
        })
        .await
    }

    async fn heard(&self, reason: &str) {
        wait_for(reason, PATIENCE, async || {
            let list = self.client.list::<Event>().await.map_err(|error| error.to_string())?;
            let heard = list.items.iter().any(|event| event.reason == reason);
            if heard { Ok(()) } else { Err(format!("{:?}", list.items)) }
        })
        .await;
    }

    async fn placements(&self) -> Vec<(String, Option<String>)> {
        let list = self.client.list::<PlacementView>().await.expect("the lead answers");
        list.items.into_iter().map(|view| (view.component, view.cluster)).collect()
    }

    /// Subjects of the deploy branch, the newest first.
    fn log(&self) -> Vec<String> {
        self.checkout.files(DEPLOY);
        let log = self.checkout.git(&["log", "--format=%s", &format!("origin/{DEPLOY}")]);
        log.lines().map(str::to_owned).collect()
    }
}

async fn lead(data: &std::path::Path, url: &str) -> (Lead, Client) {
    let mut config = Config::new(data.to_owned(), url.into());
    config.listen.set_port(0);
    let lead = start(config).await.expect("the lead starts");
    let options = Options { leads: vec![lead.api_url.clone()], ..Options::default() };
    (lead, Client::new(&options).expect("a client can be made"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_judged_placed_and_committed_back() {
    let mut scene = Scene::new().await;
    scene.checkout.copy("example-repo");
    let commit = scene.checkout.push("Bookinfo");
    let record = scene.published(&commit).await;
    assert_eq!((record.verdict, record.findings), (Verdict::Accepted, vec![]));
    assert_eq!(record.published, scene.checkout.tip(DEPLOY));

    let placements = scene.placements().await;
    assert_eq!(placements.len(), 4);
    let files = scene.checkout.files(DEPLOY);
    for (component, cluster) in placements {
        let folder =
            format!("clusters/{}/bookinfo/{component}/", cluster.expect("every component is placed"));
        assert!(files.iter().any(|(path, _)| path.starts_with(&folder)), "nothing in {folder}");
    }
    let message = scene.checkout.git(&["log", "-1", "--format=%B", &format!("origin/{DEPLOY}")]);
    for trailer in ["Qonnect-Epoch: ", &format!("Qonnect-Revision: {commit}\n"), "Qonnect-Intent: "] {
        assert!(message.contains(trailer), "{message}");
    }
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_holds_its_application_also_through_a_restart() {
    let mut scene = Scene::new().await;
    scene.checkout.copy("example-repo");
    let good = scene.checkout.push("Bookinfo");
    scene.published(&good).await;
    let (before, files) = (scene.placements().await, scene.checkout.files(DEPLOY));

    scene.checkout.edit(BOOKINFO, "objectives:", "objektives:");
    let held = scene.checkout.push("A typo");
    let record = scene.judged(&held).await;
    assert_eq!((record.verdict, record.held), (Verdict::Held, vec!["bookinfo".to_owned()]));
    let finding = record.findings.first().expect("the typo is a finding");
    assert_eq!(finding.file, BOOKINFO);
    assert!(finding.place.is_some());

    scene.restart().await;
    scene.checkout.remove(BOOKINFO);
    let unreadable = scene.checkout.push("Not even a file");
    assert_eq!(scene.judged(&unreadable).await.verdict, Verdict::Held);
    assert_eq!(scene.placements().await, before);
    assert_eq!(scene.checkout.files(DEPLOY), files);
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_readme_makes_no_commit_and_a_mass_removal_waits_for_its_trailer() {
    let mut scene = Scene::new().await;
    scene.checkout.copy("example-repo");
    let first = scene.checkout.push("Bookinfo");
    scene.published(&first).await;
    let log = scene.log();

    scene.checkout.write("NOTES.md", "nothing that matters\n");
    let notes = scene.checkout.push("Notes");
    assert_eq!(scene.judged(&notes).await.verdict, Verdict::Accepted);
    scene.checkout.remove("apps/bookinfo");
    let removal = scene.checkout.push("Remove Bookinfo");
    let record = scene.judged(&removal).await;
    assert_eq!(record.verdict, Verdict::Waiting);
    assert!(record.message.contains("Qonnect-Allow-Removals: 4"), "{}", record.message);
    assert_eq!(scene.log(), log);

    let consent = scene.checkout.push("Mean it\n\nQonnect-Allow-Removals: 4");
    scene.published(&consent).await;
    assert_eq!(scene.log()[0], "remove bookinfo");
    assert!(scene.checkout.files(DEPLOY).iter().all(|(path, _)| !path.contains("bookinfo")));
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_lead_closes_the_branch_and_restores_what_others_wrote() {
    let mut scene = Scene::new().await;
    scene.checkout.copy("example-repo");
    let commit = scene.checkout.push("Bookinfo");
    scene.published(&commit).await;
    let files = scene.checkout.files(DEPLOY);
    scene.stop().await;

    let checkout = &scene.checkout;
    checkout.git(&["checkout", "--quiet", "--detach", &format!("origin/{DEPLOY}")]);
    checkout.git(&["rm", "-r", "--quiet", "placements"]);
    checkout.git(&["commit", "--quiet", "--message", "I know better"]);
    checkout.git(&["push", "--quiet", "origin", &format!("HEAD:{DEPLOY}")]);
    checkout.git(&["checkout", "--quiet", "main"]);

    let (lead, client) = lead(&scene.data, scene.host.url()).await;
    (scene.lead, scene.client) = (Some(lead), client);
    scene.heard("ForeignCommit").await;
    wait_for("the files to be restored", PATIENCE, async || {
        let now = scene.checkout.files(DEPLOY);
        if now == files { Ok(()) } else { Err(format!("{} of {} files", now.len(), files.len())) }
    })
    .await;
    let log = scene.log();
    assert_eq!((log[0].as_str(), log[2].as_str()), ("restore placements", "I know better"));
    assert!(log[1].starts_with("begin epoch "), "{log:?}");
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lead_whose_remote_is_away_serves_its_api_and_ends_cleanly() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let (lead, client) = lead(&folder::fresh("lead"), "http://127.0.0.1:9/fleet.git").await;
    assert_eq!(client.list::<RevisionRecord>().await.expect("the lead answers").items, vec![]);
    lead.stop().await;
}
