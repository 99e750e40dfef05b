//! What refuses a whole revision: `fleet.yaml`, `clusters/` and `signals/`.

use std::collections::{BTreeMap, BTreeSet};

use super::document;
use super::findings::{Findings, Origin};
use super::places::Places;
use super::words::{did_you_mean, quoted};
use crate::documents::maintenance::Maintenance;
use crate::documents::signals::Egress;
use crate::json_schema::Kind;
use crate::{Cluster, Fleet, FleetSpec, Signals, layout};

/// The fleet as the repository declares it.
#[derive(Debug, Default)]
pub(super) struct Declared {
    pub(super) spec: FleetSpec,
    pub(super) clusters: BTreeMap<String, Cluster>,
    pub(super) signals: BTreeMap<String, Signals>,
    /// Nothing is wrong with the clusters; else nobody is told that a tier does not exist.
    pub(super) complete: bool,
}

pub(super) fn read(places: &Places<'_>, findings: &mut Findings) -> Declared {
    let mut declared = Declared::default();
    if let Some(entry) = places.fleet {
        let origin = Origin::document(layout::FLEET, None);
        if let Some(fleet) = document::read::<Fleet>(Kind::Fleet, entry, origin, findings) {
            check_fleet(&fleet.spec, origin, findings);
            declared.spec = fleet.spec;
        }
    }
    for (name, (path, entry)) in &places.clusters {
        let origin = Origin::document(path, None);
        if let Some(cluster) = document::read::<Cluster>(Kind::Cluster, entry, origin, findings) {
            document::check_name(cluster.name(), name, origin, findings);
            declared.clusters.insert(name.to_string(), cluster);
        }
    }
    for (path, entry) in &places.signals {
        let origin = Origin::document(path, None);
        if let Some(signals) = document::read::<Signals>(Kind::Signals, entry, origin, findings) {
            declared.signals.insert(path.to_string(), signals);
        }
    }
    declared.complete = !findings.errors().any(|error| error.application.is_none());
    for (name, cluster) in &declared.clusters {
        check_cluster(cluster, &declared, Origin::document(&format!("clusters/{name}.yaml"), None), findings);
    }
    for (path, signals) in &declared.signals {
        check_signals(signals, &declared, Origin::document(path, None), findings);
    }
    declared
}

impl Declared {
    pub(super) fn regions(&self) -> BTreeSet<&str> {
        self.clusters.values().filter_map(|cluster| cluster.spec.region.as_deref()).collect()
    }

    pub(super) fn tiers(&self) -> BTreeSet<&str> {
        self.clusters.values().map(|cluster| cluster.spec.tier.as_str()).collect()
    }

    /// Warns of a name that no cluster bears: it may come later, but more often it is a slip.
    pub(super) fn expect_known(
        &self,
        what: &str,
        name: &str,
        known: &BTreeSet<&str>,
        origin: Origin<'_>,
        pointer: String,
        findings: &mut Findings,
    ) {
        if !self.complete || known.contains(name) {
            return;
        }
        let message = format!("no cluster has the {what} {}", quoted(name));
        let finding = findings.warning(origin, &format!("unknown-{what}"), pointer, message);
        if let Some(help) = did_you_mean(name, known.iter().copied()) {
            finding.help(help);
        }
    }

    /// A label by which clusters are told apart, or one of the short words.
    pub(super) fn expect_label(
        &self,
        by: &str,
        origin: Origin<'_>,
        pointer: String,
        findings: &mut Findings,
    ) {
        const PLACES: [&str; 3] = ["cluster", "region", "tier"];
        let labels = self.clusters.values().flat_map(|cluster| cluster.metadata.labels.keys());
        let known: BTreeSet<&str> = labels.map(String::as_str).chain(PLACES).collect();
        if !by.starts_with("qonnect.io/") {
            self.expect_known("label", by, &known, origin, pointer, findings);
        }
    }

    pub(super) fn expect_cluster(
        &self,
        name: &str,
        origin: Origin<'_>,
        pointer: String,
        findings: &mut Findings,
    ) {
        let known: BTreeSet<&str> = self.clusters.keys().map(String::as_str).collect();
        self.expect_known("name", name, &known, origin, pointer, findings);
    }

    fn expect_region(&self, name: &str, origin: Origin<'_>, pointer: String, findings: &mut Findings) {
        self.expect_known("region", name, &self.regions(), origin, pointer, findings);
    }
}

fn check_fleet(fleet: &FleetSpec, origin: Origin<'_>, findings: &mut Findings) {
    let lease = fleet.lease;
    if lease.heartbeat.0 == 0 {
        findings.error(origin, "out-of-range", "/spec/lease/heartbeat", "a heartbeat must take some time");
    }
    for (field, before, after, name) in [
        ("suspectAfter", lease.heartbeat, lease.suspect_after, "heartbeat"),
        ("lostAfter", lease.suspect_after, lease.lost_after, "suspectAfter"),
    ] {
        if after <= before {
            let message = format!("`{field}` is {after}, expected more than `{name}`, which is {before}");
            findings.error(origin, "out-of-range", format!("/spec/lease/{field}"), message);
        }
    }
    let branches = &fleet.branches;
    for (field, name) in [("deploy", &branches.deploy), ("review", &branches.review)] {
        if !is_branch(name) {
            let message = format!("{} is no name of a branch", quoted(name));
            findings.error(origin, "invalid-value", format!("/spec/branches/{field}"), message);
        }
    }
    if branches.deploy == branches.review || branches.deploy == branches.proposal() {
        let message = format!("{} would hold proposals and what is published", quoted(&branches.deploy));
        findings.error(origin, "invalid-value", "/spec/branches/review", message).help(
            "give `review` another name: proposals are written to it and to the same name with `-next`",
        );
    }
    for (index, maintenance) in fleet.maintenance.iter().enumerate() {
        check_maintenance(maintenance, &format!("/spec/maintenance/{index}"), origin, findings);
    }
    for (index, name) in fleet.cluster_scoped.iter().enumerate() {
        let pointer = format!("/spec/clusterScoped/{index}");
        let kind = name.split('.').next().unwrap_or_default();
        if !kind.starts_with(|c: char| c.is_ascii_uppercase()) || name.contains('/') || name.ends_with('.') {
            findings
                .error(origin, "invalid-value", pointer, format!("{} is no kind", quoted(name)))
                .help("write `Kind` or `Kind.group`, such as `ClusterRole.rbac.authorization.k8s.io`");
        } else if name == "Namespace" {
            let message = "applications never bring a Namespace: QONNECT makes it from `spec.namespace`";
            findings.error(origin, "invalid-value", pointer, message);
        }
    }
}

fn check_maintenance(maintenance: &Maintenance, at: &str, origin: Origin<'_>, findings: &mut Findings) {
    if maintenance.cluster_selector.is_empty() {
        let pointer = format!("{at}/clusterSelector");
        findings
            .error(origin, "empty", pointer, "selects all clusters: nothing would have a place to move to")
            .help("select some by `matchLabels`, or by name with `matchFields`");
    }
    if maintenance.duration.0 == 0 {
        findings.error(origin, "out-of-range", format!("{at}/duration"), "must take some time");
    }
    let alone = Maintenance { time_zone: None, ..maintenance.clone() };
    let five = maintenance.schedule.split_whitespace().count() == 5;
    if !five || alone.calendar().is_err() {
        let message = format!("{} is no schedule", quoted(&maintenance.schedule));
        findings
            .error(origin, "invalid-value", format!("{at}/schedule"), message)
            .help("write minute, hour, day of the month, month and day of the week, such as `0 2 * * 6`");
    } else if maintenance.calendar().is_err() {
        let zone = maintenance.time_zone.as_deref().unwrap_or_default();
        let message = format!("{} is no time zone", quoted(zone));
        findings
            .error(origin, "invalid-value", format!("{at}/timeZone"), message)
            .help("use a name of the IANA database, such as `Europe/Berlin`");
    }
}

/// The rules of `git check-ref-format` that a name can break by accident.
fn is_branch(name: &str) -> bool {
    let bad = |c: char| c.is_ascii_control() || " ~^:?*[\\".contains(c);
    let parts_good =
        name.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"));
    parts_good && !name.contains(bad) && !name.contains("..") && !name.contains("@{") && !name.ends_with('.')
}

fn check_cluster(cluster: &Cluster, declared: &Declared, origin: Origin<'_>, findings: &mut Findings) {
    let spec = &cluster.spec;
    if spec.tier.trim().is_empty() {
        findings
            .error(origin, "empty", "/spec/tier", "must not be empty")
            .help("such as `cloud`, `fog` or `edge`");
    }
    for name in spec.latency.clusters.keys() {
        let pointer = format!("/spec/latency/clusters/{}", escape(name));
        declared.expect_cluster(name, origin, pointer, findings);
    }
    for name in spec.latency.regions.keys() {
        let pointer = format!("/spec/latency/regions/{}", escape(name));
        declared.expect_region(name, origin, pointer, findings);
    }
    let mut nodes = BTreeSet::new();
    for (index, node) in spec.nodes.iter().enumerate() {
        if !nodes.insert(&node.name) {
            let message = format!("a second node is called {}", quoted(&node.name));
            findings.error(origin, "duplicate-name", format!("/spec/nodes/{index}/name"), message);
        }
    }
}

fn check_signals(signals: &Signals, declared: &Declared, origin: Origin<'_>, findings: &mut Findings) {
    let spec = &signals.spec;
    if spec.valid_until.is_some_and(|end| end <= spec.time) {
        findings.error(origin, "out-of-range", "/spec/validUntil", "it ends before its `time`");
    }
    let of_clusters = [
        ("prices", spec.prices.iter().map(|price| &price.cluster).collect::<Vec<_>>()),
        ("powerModels", spec.power_models.iter().map(|model| &model.cluster).collect()),
        ("pue", spec.pue.iter().map(|pue| &pue.cluster).collect()),
    ];
    for (field, names) in of_clusters {
        let mut seen = BTreeSet::new();
        for (index, name) in names.into_iter().enumerate() {
            let pointer = format!("/spec/{field}/{index}/cluster");
            if !seen.insert(name) {
                let message = format!("a second entry for {}", quoted(name));
                findings.error(origin, "duplicate-name", &pointer, message);
            }
            declared.expect_cluster(name, origin, pointer, findings);
        }
    }
    for (index, intensity) in spec.grid_intensity.iter().enumerate() {
        let pointer = format!("/spec/gridIntensity/{index}/region");
        declared.expect_region(&intensity.region, origin, pointer, findings);
    }
    for (index, model) in spec.power_models.iter().enumerate() {
        if model.max_watts < model.idle_watts {
            let message =
                format!("{} is less than `idleWatts`, which is {}", model.max_watts, model.idle_watts);
            findings.error(origin, "out-of-range", format!("/spec/powerModels/{index}/maxWatts"), message);
        }
    }
    let regions = declared.regions();
    let known: BTreeSet<&str> = declared.clusters.keys().map(String::as_str).chain(regions).collect();
    for (index, trip) in spec.round_trips.iter().enumerate() {
        for (end, name) in trip.between.iter().enumerate() {
            let pointer = format!("/spec/roundTrips/{index}/between/{end}");
            declared.expect_known("name", name, &known, origin, pointer, findings);
        }
    }
    let mut seen = BTreeSet::new();
    for (index, Egress { from, .. }) in spec.egress.iter().enumerate() {
        let pointer = format!("/spec/egress/{index}/from");
        if !seen.insert(from) {
            let message = format!("a second entry for {}", quoted(from));
            findings.error(origin, "duplicate-name", &pointer, message);
        }
        declared.expect_known("name", from, &known, origin, pointer, findings);
    }
}

/// A step of a JSON pointer.
pub(super) fn escape(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}
