//! Twenty and more ways to push something wrong: where each is spoilt, and what the verdict must say.

use std::os::unix::fs::symlink;

use qonnect_schema::api::Verdict;
use qonnect_tests::git::Checkout;

use crate::fleet::reviews_port;

pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) spoil: fn(&Checkout),
    pub(crate) verdict: Verdict,
    pub(crate) code: &'static str,
    pub(crate) file: &'static str,
    /// A text of the line that the verdict must point at; `None` where the file itself is what is wrong.
    pub(crate) at: Option<&'static str>,
}

const APPLICATION: &str = "apps/bookinfo/application.yaml";
const REVIEWS: &str = "apps/bookinfo/reviews.yaml";
const DETAILS: &str = "apps/bookinfo/details.yaml";
const RATINGS: &str = "apps/bookinfo/ratings.yaml";
const CLUSTER: &str = "clusters/fog-cost.yaml";

/// A fault below `apps/bookinfo`.
const fn held(
    name: &'static str,
    code: &'static str,
    file: &'static str,
    at: &'static str,
    spoil: fn(&Checkout),
) -> Fault {
    Fault { name, spoil, verdict: Verdict::Held, code, file, at: Some(at) }
}

/// A fault anywhere else.
const fn refused(
    name: &'static str,
    code: &'static str,
    file: &'static str,
    at: &'static str,
    spoil: fn(&Checkout),
) -> Fault {
    Fault { name, spoil, verdict: Verdict::Refused, code, file, at: Some(at) }
}

pub(crate) const FAULTS: [Fault; 24] = [
    held("a typo in a field", "unknown-field", APPLICATION, "objctives:", |repo| {
        repo.edit(APPLICATION, "objectives:", "objctives:");
    }),
    held("weights that are all zero", "no-objective", APPLICATION, "energy: 0.0", |repo| {
        repo.edit(APPLICATION, "energy: 1.0", "energy: 0.0");
    }),
    held("a weight above one", "out-of-range", APPLICATION, "energy: 1.5", |repo| {
        repo.edit(APPLICATION, "energy: 1.0", "energy: 1.5");
    }),
    held("text where a number belongs", "wrong-type", APPLICATION, "energy: much", |repo| {
        repo.edit(APPLICATION, "energy: 1.0", "energy: much");
    }),
    held("a dependency that nobody is", "unknown-component", APPLICATION, "component: rating}", |repo| {
        repo.edit(APPLICATION, "{component: ratings}", "{component: rating}");
    }),
    held("a dependency on itself", "dependency-cycle", APPLICATION, "component: reviews}]", |repo| {
        repo.edit(APPLICATION, "{component: ratings}", "{component: reviews}");
    }),
    held("two components of one name", "duplicate-name", APPLICATION, "- name: details # twice", |repo| {
        repo.edit(APPLICATION, "- name: ratings", "- name: details # twice");
    }),
    held("a latency without a unit", "invalid-value", APPLICATION, "maxLatency: soon", |repo| {
        repo.edit(APPLICATION, "maxLatency: 40ms", "maxLatency: soon");
    }),
    held("a node port that Kubernetes refuses", "out-of-range", APPLICATION, "nodePort: 80}", |repo| {
        repo.edit(APPLICATION, &format!("nodePort: {}", reviews_port(repo)), "nodePort: 80");
    }),
    held("a Service that is not there", "unknown-service", APPLICATION, "service: review,", |repo| {
        repo.edit(APPLICATION, "service: reviews,", "service: review,");
    }),
    held("a manifest that is missing", "manifest-missing", APPLICATION, "review.yaml", |repo| {
        repo.edit(APPLICATION, "[reviews.yaml]", "[review.yaml]");
    }),
    held("a manifest of somebody else", "outside-application", APPLICATION, "../../fleet.yaml", |repo| {
        repo.edit(APPLICATION, "[reviews.yaml]", "[../../fleet.yaml]");
    }),
    held("a manifest behind a symlink", "link", APPLICATION, "[reviews.yaml]", |repo| {
        repo.remove(REVIEWS);
        symlink("/etc/passwd", repo.folder().join(REVIEWS)).unwrap();
    }),
    held("a document of another kind", "wrong-kind", APPLICATION, "kind: Cluster", |repo| {
        repo.edit(APPLICATION, "kind: Application", "kind: Cluster");
    }),
    held("a broken flow list", "yaml-syntax", REVIEWS, "env:", |repo| {
        repo.write(REVIEWS, repo.read(REVIEWS).replacen("protocol: TCP}]", "protocol: TCP}", 1));
    }),
    held("a key twice", "duplicate-key", DETAILS, "kind: Service # again", |repo| {
        repo.edit(DETAILS, "kind: Service\n", "kind: Service\nkind: Service # again\n");
    }),
    held("an object without a name", "missing-field", DETAILS, "metadata: {labels", |repo| {
        repo.edit(DETAILS, "metadata: {name: details}", "metadata: {labels: {a: b}}");
    }),
    held("an object of two components", "duplicate-object", RATINGS, "metadata: {name: ratings}", |repo| {
        repo.write(DETAILS, repo.read(DETAILS) + "---\n" + &repo.read(RATINGS));
    }),
    held("an object of the whole cluster", "cluster-scoped", DETAILS, "kind: ClusterRole", |repo| {
        let role = "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: all}\nrules: []\n";
        repo.write(DETAILS, repo.read(DETAILS) + role);
    }),
    held(
        "a variable that does not exist",
        "unknown-component",
        REVIEWS,
        "${component.rating.host}",
        |repo| {
            let text =
                repo.read(REVIEWS).replacen("${component.ratings.host}", "${component.rating.host}", 1);
            repo.write(REVIEWS, text);
        },
    ),
    held("an alias bomb", "too-many-values", DETAILS, "a4:", |repo| {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let below = vec![format!("*a{}", level - 1); 9].join(", ");
            bomb += &format!("a{level}: &a{level} [{below}]\n");
        }
        repo.write(DETAILS, bomb);
    }),
    refused("a typo in a cluster", "unknown-field", CLUSTER, "teir: fog", |repo| {
        repo.edit(CLUSTER, "tier: fog", "teir: fog");
    }),
    refused("a cluster that is called otherwise", "name-differs", CLUSTER, "name: fog-price", |repo| {
        repo.edit(CLUSTER, "name: fog-cost\n", "name: fog-price\n");
    }),
    refused("a fleet that is out of range", "out-of-range", "fleet.yaml", "energy: -1", |repo| {
        repo.edit("fleet.yaml", "energy: 0.001", "energy: -1");
    }),
];
