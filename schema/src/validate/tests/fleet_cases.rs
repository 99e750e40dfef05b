//! Faults outside of applications, and what only deserves a warning.

use super::cases::Case;
use super::*;

/// Faults elsewhere refuse the revision.
pub(super) const FLEET_CASES: &[Case] = &[
    (
        |r| r.replace("fleet.yaml", "spec: {}", "spec: {branchs: {}}"),
        &["error unknown-field fleet.yaml:4:8 /spec/branchs"],
    ),
    (
        |r| {
            r.replace("fleet.yaml", "spec: {}", "spec: {lease: {lostAfter: 10s}, branches: {deploy: \"a b\"}, clusterScoped: [clusterrole, Namespace]}")
        },
        &[
            "error out-of-range fleet.yaml:4:27 /spec/lease/lostAfter",
            "error invalid-value fleet.yaml:4:52 /spec/branches/deploy",
            "error invalid-value fleet.yaml:4:76 /spec/clusterScoped/0",
            "error invalid-value fleet.yaml:4:89 /spec/clusterScoped/1",
        ],
    ),
    (
        |r| {
            r.replace(
                "fleet.yaml",
                "spec: {}",
                "spec: {failover: {batch: {share: 2}, brake: {clusters: 0}}, moves: {inFlight: {fleet: 0}}}",
            )
        },
        &[
            "error out-of-range fleet.yaml:4:34 /spec/failover/batch/share",
            "error out-of-range fleet.yaml:4:56 /spec/failover/brake/clusters",
            "error out-of-range fleet.yaml:4:87 /spec/moves/inFlight/fleet",
        ],
    ),
    (
        |r| {
            r.replace(
                "fleet.yaml",
                "spec: {}",
                "spec: {branches: {deploy: x-next, review: x}, approval: {update: ask}}",
            )
        },
        &[
            "error invalid-value fleet.yaml:4:43 /spec/branches/review",
            "error unknown-value fleet.yaml:4:66 /spec/approval/update",
        ],
    ),
    (
        |r| {
            r.replace(
                "fleet.yaml",
                "spec: {}",
                "spec: {maintenance: [{clusterSelector: {}, schedule: \"2 * * 6\", duration: 0s}]}",
            )
        },
        &[
            "error empty fleet.yaml:4:23 /spec/maintenance/0/clusterSelector",
            "error invalid-value fleet.yaml:4:54 /spec/maintenance/0/schedule",
            "error out-of-range fleet.yaml:4:75 /spec/maintenance/0/duration",
        ],
    ),
    (
        |r| {
            r.replace(
                "fleet.yaml",
                "spec: {}",
                "spec: {maintenance: [{clusterSelector: {matchLabels: {a: b}}, schedule: \"0 2 * * 6\", timeZone: Mars, duration: 1h}]}",
            )
        },
        &["error invalid-value fleet.yaml:4:96 /spec/maintenance/0/timeZone"],
    ),
    (
        |r| r.replace("fleet.yaml", "spec: {}", "spec: {approval: {request: {autoMerge: never}}}"),
        &["error unknown-value fleet.yaml:4:40 /spec/approval/request/autoMerge"],
    ),
    (|r| r.put("fleet.yaml", Entry::Link(b"x".as_slice().into())), &["error link fleet.yaml"]),
    (|r| r.rename("fleet.yaml", "fleet.yaml/fleet.yaml"), &["error wrong-place fleet.yaml/fleet.yaml"]),
    (|r| r.rename("fleet.yaml", "fleet.yml"), &["error wrong-place fleet.yml"]),
    (
        |r| r.rename("clusters/north.yaml", "clusters/nord.yaml"),
        &["error name-differs clusters/nord.yaml:3:18 /metadata/name"],
    ),
    (|r| r.rename("clusters/north.yaml", "clusters/north.yml"), &["error wrong-place clusters/north.yml"]),
    (
        |r| r.replace("clusters/north.yaml", "tier: cloud", "teir: cloud"),
        &["error unknown-field clusters/north.yaml:5:3 /spec/teir"],
    ),
    (
        |r| r.replace("clusters/north.yaml", "memory: 8Gi", "memory: 8GiB"),
        &["error invalid-value clusters/north.yaml:7:42 /spec/nodes/0/memory"],
    ),
    (
        |r| r.replace("clusters/north.yaml", "memory: 8Gi", "memory: 8Gi, count: 0, energy: -1"),
        &[
            "error out-of-range clusters/north.yaml:7:54 /spec/nodes/0/count",
            "error out-of-range clusters/north.yaml:7:65 /spec/nodes/0/energy",
        ],
    ),
    (
        |r| r.replace("clusters/north.yaml", "}]", "}, {name: worker, cpu: 1, memory: 1Gi}]"),
        &["error duplicate-name clusters/north.yaml:7:55 /spec/nodes/1/name"],
    ),
    (
        |r| r.replace("clusters/north.yaml", "tier: cloud", "tier: \"\""),
        &[
            "warning unknown-tier apps/shop/application.yaml:9:15 /spec/components/0/tiers/0",
            "error empty clusters/north.yaml:5:9 /spec/tier",
        ],
    ),
    (
        |r| r.replace("clusters/north.yaml", "  region: de", "  ingress: {address: \"http://x\"}"),
        &["error invalid-value clusters/north.yaml:6:22 /spec/ingress/address"],
    ),
    (
        |r| r.replace("clusters/north.yaml", "  region: de", "  taints: [{key: a, effect: NoScheduel}]"),
        &["error unknown-value clusters/north.yaml:6:29 /spec/taints/0/effect"],
    ),
    (
        |r| r.replace("clusters/north.yaml", "kind: Cluster", "kind: Application"),
        &["error wrong-kind clusters/north.yaml:2:7 /kind"],
    ),
    (
        |r| r.put("clusters/north.yaml", Entry::Link(b"south.yaml".as_slice().into())),
        &["error link clusters/north.yaml"],
    ),
    (
        |r| r.remove("clusters/north.yaml").remove("clusters/south.yaml").remove("signals/prices.yaml"),
        &["error no-clusters clusters"],
    ),
    (
        |r| r.replace("signals/prices.yaml", "2026-11-21T18:00:00Z", "yesterday"),
        &["error invalid-value signals/prices.yaml:6:9 /spec/time"],
    ),
    (
        |r| {
            r.replace("signals/prices.yaml", "  prices:", "  validUntil: 2026-11-20T00:00:00Z\n  roundTrips: [{between: [north], latency: 1ms}]\n  powerModels: [{cluster: south, idleWatts: 9, maxWatts: 8}]\n  prices:")
        },
        &[
            "error out-of-range signals/prices.yaml:7:15 /spec/validUntil",
            "error wrong-count signals/prices.yaml:8:17 /spec/roundTrips/0/between",
            "error out-of-range signals/prices.yaml:9:58 /spec/powerModels/0/maxWatts",
        ],
    ),
    (
        |r| {
            r.replace(
                "signals/prices.yaml",
                "  prices:",
                "  egress: [{from: north, price: 0.02}, {from: north, energy: -1}]\n  prices:",
            )
        },
        &[
            "error duplicate-name signals/prices.yaml:7:47 /spec/egress/1/from",
            "error out-of-range signals/prices.yaml:7:62 /spec/egress/1/energy",
        ],
    ),
    (
        |r| {
            r.remove(APPLICATION)
                .remove(WEB)
                .remove("apps/shop/db/service.yaml")
                .put("apps", Entry::Link(b"x".as_slice().into()))
        },
        &["error wrong-place apps"],
    ),
];

/// What may be meant, but more often is a slip.
pub(super) const WARNING_CASES: &[Case] = &[
    (
        |r| r.replace(APPLICATION, "tiers: [cloud]", "tiers: [clout]"),
        &["warning unknown-tier apps/shop/application.yaml:9:15 /spec/components/0/tiers/0"],
    ),
    (
        |r| r.replace(APPLICATION, "tiers: [cloud]", "tiers: [cloud]\n      regions: [es]"),
        &["warning no-cluster-fits apps/shop/application.yaml:7:13 /spec/components/0/name"],
    ),
    (
        |r| r.replace(APPLICATION, "tiers: [cloud]", "regions: [fr]"),
        &["warning unknown-region apps/shop/application.yaml:9:17 /spec/components/0/regions/0"],
    ),
    (
        |r| r.replace(APPLICATION, "tiers: [cloud]", "clusterSelector: {matchLabels: {a: b}}"),
        &["warning no-cluster-fits apps/shop/application.yaml:7:13 /spec/components/0/name"],
    ),
    (
        |r| {
            r.replace(APPLICATION, "tiers: [cloud]", "tiers: [cloud]\n      colocate: [db]").replace(
                APPLICATION,
                "[db]\n      expose",
                "[db]\n      tiers: [edge]\n      expose",
            )
        },
        &["warning no-cluster-fits apps/shop/application.yaml:7:13 /spec/components/0/name"],
    ),
    (
        |r| r.replace(APPLICATION, "tiers: [cloud]", "separate: [{from: db, by: rack}]"),
        &["warning unknown-label apps/shop/application.yaml:9:33 /spec/components/0/separate/0/by"],
    ),
    (
        |r| r.replace("signals/prices.yaml", "cluster: north", "cluster: norht"),
        &["warning unknown-name signals/prices.yaml:7:22 /spec/prices/0/cluster"],
    ),
    (
        |r| {
            r.replace(
                "clusters/north.yaml",
                "  region: de",
                "  region: de\n  latency: {clusters: {west: 1ms}, regions: {fr: 1ms}}",
            )
        },
        &[
            "warning unknown-name clusters/north.yaml:7:30 /spec/latency/clusters/west",
            "warning unknown-region clusters/north.yaml:7:50 /spec/latency/regions/fr",
        ],
    ),
    (
        |r| r.append(WEB, "---\napiVersion: v1\nkind: Secret\nmetadata: {name: x}\ndata: {a: eA==}\n"),
        &["warning plain-secret apps/shop/web.yaml:14:7 /kind"],
    ),
    (
        |r| {
            r.append(WEB, "---\napiVersion: v1\nkind: Service\nmetadata: {name: x, labels: {qonnect.io/component: z}}\n")
        },
        &["warning reserved-label apps/shop/web.yaml:15:30 /metadata/labels/qonnect.io~1component"],
    ),
    (|r| r.write("apps/shop/forgotten.yaml", SERVICE), &["warning unused-file apps/shop/forgotten.yaml"]),
    (|r| r.write("apps/shop.yaml", "x"), &["warning wrong-place apps/shop.yaml"]),
    (
        |r| {
            r.write("apps/README.md", "x")
                .write("shop.yaml", "apiVersion: qonnect.io/v1alpha1\n")
                .write("docs.yaml", "a: 1\n")
        },
        &["warning wrong-place shop.yaml"],
    ),
];
