//! What is done to a good repository, and what is found then.

use super::*;

/// What is done to the good repository, and what is found then.
pub(super) type Case = (fn(Repository) -> Repository, &'static [&'static str]);

/// Faults below `apps/` hold their application.
pub(super) const APPLICATION_CASES: &[Case] = &[
    (
        |r| {
            let r = r.replace(APPLICATION, "objectives", "objectivs").replace(APPLICATION, "tiers", "teirs");
            r.replace(APPLICATION, "web.yaml", "wbe.yaml").replace(
                APPLICATION,
                "spec:",
                "spec:\n  color: red",
            )
        },
        &[
            "error unknown-field apps/shop/application.yaml:5:3 /spec/color",
            "error unknown-field apps/shop/application.yaml:6:3 /spec/objectivs",
            "error manifest-missing apps/shop/application.yaml:9:19 /spec/components/0/manifests/0",
            "error unknown-field apps/shop/application.yaml:10:7 /spec/components/0/teirs",
        ],
    ),
    (
        |r| r.replace(APPLICATION, "objectives", "objectivs"),
        &["error unknown-field apps/shop/application.yaml:5:3 /spec/objectivs"],
    ),
    (
        |r| r.replace(APPLICATION, "kind: Application", "kind: Aplication"),
        &["error wrong-kind apps/shop/application.yaml:2:7 /kind"],
    ),
    (
        |r| r.replace(APPLICATION, "v1alpha1", "v1"),
        &["error unknown-value apps/shop/application.yaml:1:13 /apiVersion"],
    ),
    (
        |r| r.replace(APPLICATION, "name: shop", "name: Shop"),
        &["error invalid-value apps/shop/application.yaml:3:18 /metadata/name"],
    ),
    (
        |r| r.replace(APPLICATION, "name: shop", "name: store"),
        &["error name-differs apps/shop/application.yaml:3:18 /metadata/name"],
    ),
    (
        |r| r.replace(APPLICATION, "energy: 1", "energy: 2, cost: -1"),
        &[
            "error out-of-range apps/shop/application.yaml:5:24 /spec/objectives/energy",
            "error out-of-range apps/shop/application.yaml:5:33 /spec/objectives/cost",
        ],
    ),
    (
        |r| r.replace(APPLICATION, "energy: 1", "energy: 0.0"),
        &["error no-objective apps/shop/application.yaml:5:3 /spec/objectives"],
    ),
    (
        |r| r.replace(APPLICATION, "energy: 1", "energy: one"),
        &["error wrong-type apps/shop/application.yaml:5:24 /spec/objectives/energy"],
    ),
    // What is wrong otherwise is found beside a value that cannot be read.
    (
        |r| {
            let r = r.replace(APPLICATION, "energy: 1", "energy: one").replace(APPLICATION, "40ms", "soon");
            let r = r.replace(APPLICATION, "component: db", "component: bd").replace(
                APPLICATION,
                "tiers: [cloud]",
                "tiers: cloud",
            );
            r.replace(APPLICATION, "manifests: [db]", "manifests: [bd]")
        },
        &[
            "error wrong-type apps/shop/application.yaml:5:24 /spec/objectives/energy",
            "error wrong-type apps/shop/application.yaml:9:14 /spec/components/0/tiers",
            "error unknown-component apps/shop/application.yaml:10:31 /spec/components/0/dependsOn/0/component",
            "error invalid-value apps/shop/application.yaml:10:47 /spec/components/0/dependsOn/0/maxLatency",
            "error manifest-missing apps/shop/application.yaml:12:19 /spec/components/1/manifests/0",
        ],
    ),
    // Also within a field whose name is misspelt.
    (
        |r| r.replace(APPLICATION, "objectives: {energy: 1}", "objectivs: {energy: one, cots: 1}"),
        &[
            "error unknown-field apps/shop/application.yaml:5:3 /spec/objectivs",
            "error wrong-type apps/shop/application.yaml:5:23 /spec/objectivs/energy",
            "error unknown-field apps/shop/application.yaml:5:28 /spec/objectivs/cots",
        ],
    ),
    // A component without a name has manifests all the same.
    (
        |r| r.replace(APPLICATION, "    - name: db\n      manifests: [db]", "    - manifests: [bd]"),
        &[
            "error missing-field apps/shop/application.yaml:11:7 /spec/components/1",
            "error manifest-missing apps/shop/application.yaml:11:19 /spec/components/1/manifests/0",
        ],
    ),
    (
        |r| r.replace(APPLICATION, "40ms", "40"),
        &["error wrong-type apps/shop/application.yaml:10:47 /spec/components/0/dependsOn/0/maxLatency"],
    ),
    (
        |r| r.replace(APPLICATION, "name: db\n", "name: web\n"),
        &[
            "error unknown-component apps/shop/application.yaml:10:31 /spec/components/0/dependsOn/0/component",
            "error duplicate-name apps/shop/application.yaml:11:13 /spec/components/1/name",
            "error unknown-component apps/shop/web.yaml:5:8 /data/url",
        ],
    ),
    (
        |r| r.replace(APPLICATION, "component: db", "component: web"),
        &[
            "error dependency-cycle apps/shop/application.yaml:10:31 /spec/components/0/dependsOn/0/component",
            "error undeclared-dependency apps/shop/web.yaml:5:8 /data/url",
        ],
    ),
    (
        |r| r.replace(APPLICATION, "expose:", "dependsOn: [{component: web}]\n      expose:"),
        &["error dependency-cycle apps/shop/application.yaml:13:31 /spec/components/1/dependsOn/0/component"],
    ),
    (
        |r| r.replace(APPLICATION, "nodePort: 30001", "nodePort: 80"),
        &["error out-of-range apps/shop/application.yaml:13:39 /spec/components/1/expose/nodePort"],
    ),
    (
        |r| r.replace(APPLICATION, "service: db", "service: bd"),
        &["error unknown-service apps/shop/application.yaml:13:25 /spec/components/1/expose/service"],
    ),
    (
        |r| {
            r.replace(
                APPLICATION,
                "[web.yaml]",
                "[../../fleet.yaml, /etc/passwd, \"https://example.org/x.yaml\", .]",
            )
        },
        &[
            "error outside-application apps/shop/application.yaml:8:19 /spec/components/0/manifests/0",
            "error outside-application apps/shop/application.yaml:8:37 /spec/components/0/manifests/1",
            "error outside-application apps/shop/application.yaml:8:50 /spec/components/0/manifests/2",
            "error outside-application apps/shop/application.yaml:8:80 /spec/components/0/manifests/3",
        ],
    ),
    (
        |r| r.replace(APPLICATION, "[web.yaml]", "[web.yml]").remove(WEB),
        &["error manifest-missing apps/shop/application.yaml:8:19 /spec/components/0/manifests/0"],
    ),
    (
        |r| r.replace(APPLICATION, "[web.yaml]", "[web.yaml, ./web.yaml]"),
        &["error duplicate-manifest apps/shop/application.yaml:8:29 /spec/components/0/manifests/1"],
    ),
    (
        |r| r.replace(APPLICATION, "[web.yaml]", "[web.yaml, application.yaml]"),
        &["error not-a-manifest apps/shop/application.yaml:8:29 /spec/components/0/manifests/1"],
    ),
    (
        |r| r.replace(APPLICATION, "[web.yaml]", "[]").remove(WEB),
        &["error empty apps/shop/application.yaml:8:7 /spec/components/0/manifests"],
    ),
    (
        |r| r.put(WEB, Entry::Link(b"../../../etc/passwd".as_slice().into())),
        &["error link apps/shop/application.yaml:8:19 /spec/components/0/manifests/0"],
    ),
    (
        |r| r.rename("apps/shop/db/service.yaml", "apps/shop/db/service.txt"),
        &["error empty-folder apps/shop/application.yaml:12:19 /spec/components/1/manifests/0"],
    ),
    (
        |r| r.put("apps/shop/db/x.yaml", Entry::Link(b"y".as_slice().into())),
        &["error link apps/shop/db/x.yaml"],
    ),
    (
        |r| r.remove("apps/shop/db/service.yaml").put("apps/shop/db", Entry::Link(b"/etc".as_slice().into())),
        &["error link apps/shop/application.yaml:12:19 /spec/components/1/manifests/0"],
    ),
    (|r| r.put(WEB, Entry::TooLarge(5_000_000)), &["error file-too-large apps/shop/web.yaml"]),
    (|r| r.remove(APPLICATION), &["error no-application apps/shop/application.yaml"]),
    (
        |r| r.rename(APPLICATION, "apps/shop/application.yml"),
        &["error no-application apps/shop/application.yaml"],
    ),
    (|r| r.put(APPLICATION, Entry::Link(b"x".as_slice().into())), &["error link apps/shop/application.yaml"]),
    (
        |r| r.put(APPLICATION, Entry::TooLarge(5_000_000)),
        &["error file-too-large apps/shop/application.yaml"],
    ),
    (|r| r.write(APPLICATION, "# nothing\n"), &["error empty-file apps/shop/application.yaml"]),
    (
        |r| r.append(APPLICATION, "---\nkind: Application\n"),
        &["error several-documents apps/shop/application.yaml:15:1"],
    ),
    (|r| r.append(APPLICATION, "spec: {}\n"), &["error duplicate-key apps/shop/application.yaml:14:1"]),
    (|r| r.append(APPLICATION, "  x: [1\n"), &["error yaml-syntax apps/shop/application.yaml:14:6"]),
    (|r| r.append(APPLICATION, "\tx: 1\n"), &["error yaml-syntax apps/shop/application.yaml:14:1"]),
    (|r| r.put(APPLICATION, Entry::file(b"a: \xff\n")), &["error not-utf8 apps/shop/application.yaml:1:4"]),
    (
        |r| {
            r.write(WEB, "a: &a [x, x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]\n")
        },
        &["error too-many-values apps/shop/web.yaml:5:32"],
    ),
    (
        |r| r.write(WEB, "# nothing\n---\n"),
        &["error no-object apps/shop/application.yaml:8:7 /spec/components/0/manifests"],
    ),
    (|r| r.append(WEB, "---\n- a list\n"), &["error not-an-object apps/shop/web.yaml:13:3"]),
    (
        |r| r.append(WEB, "---\nkind: Service\nmetadata: {}\n"),
        &[
            "error missing-field apps/shop/web.yaml:13:1 /apiVersion",
            "error missing-field apps/shop/web.yaml:14:1 /metadata/name",
        ],
    ),
    (
        |r| r.append(WEB, "---\napiVersion: v1\nkind: Pod\nmetadata: {generateName: x-}\n"),
        &["error missing-field apps/shop/web.yaml:15:1 /metadata/name"],
    ),
    (
        |r| r.append(WEB, "---\napiVersion: v1\nkind: Service\nmetadata: {name: db}\n"),
        &["error duplicate-object apps/shop/db/service.yaml:3:18 /metadata/name"],
    ),
    (
        |r| {
            r.append(WEB, "---\napiVersion: v1\nkind: List\nitems:\n  - {apiVersion: v1, kind: Service, metadata: {name: web}}\n  - {apiVersion: v1, kind: Service, metadata: {name: web}}\n")
        },
        &["error duplicate-object apps/shop/web.yaml:17:54 /items/1/metadata/name"],
    ),
    (
        |r| r.append(WEB, "---\napiVersion: v1\nkind: ServiceList\nmetadata: {name: x}\nitems: []\n"),
        &["error refused-kind apps/shop/web.yaml:14:7 /kind"],
    ),
    (
        |r| r.append(WEB, "---\napiVersion: v1\nkind: Service\nmetadata: {name: x, namespace: default}\n"),
        &["error other-namespace apps/shop/web.yaml:15:32 /metadata/namespace"],
    ),
    (
        |r| r.append(WEB, "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"),
        &["error refused-kind apps/shop/web.yaml:14:7 /kind"],
    ),
    (
        |r| {
            r.append(WEB, "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: \"system:x\"}\n")
        },
        &["error cluster-scoped apps/shop/web.yaml:14:7 /kind"],
    ),
    (
        |r| {
            r.append(WEB, "---\napiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nmetadata: {name: x}\n")
        },
        &["error refused-kind apps/shop/web.yaml:14:7 /kind"],
    ),
    (
        |r| {
            r.append(WEB, "---\napiVersion: v1\nkind: Service\nmetadata:\n  name: Web\n  resourceVersion: \"1\"\n  labels: {on: yes, version: 1.0}\n")
        },
        &[
            "error invalid-value apps/shop/web.yaml:16:9 /metadata/name",
            "error server-field apps/shop/web.yaml:17:3 /metadata/resourceVersion",
            "error wrong-type apps/shop/web.yaml:18:16 /metadata/labels/true",
            "error wrong-type apps/shop/web.yaml:18:30 /metadata/labels/version",
        ],
    ),
    (
        |r| {
            r.append(WEB, "---\napiVersion: v1\nkind: Service\nmetadata:\n  name: x\n  annotations:\n    qonnect.io/ready-within: soon\n")
        },
        &["error invalid-value apps/shop/web.yaml:18:30 /metadata/annotations/qonnect.io~1ready-within"],
    ),
    (
        |r| r.append(WEB, "---\napiVersion: v1\nkind: Service\nmetadata: {name: \"${cluster.name}-x\"}\n"),
        &["error variable-in-identity apps/shop/web.yaml:15:18 /metadata/name"],
    ),
    (
        |r| r.replace(WEB, "$${HOME}", "${HOME}"),
        &["error unknown-variable apps/shop/web.yaml:6:9 /data/home"],
    ),
    (
        |r| r.replace(WEB, "component.db.host", "component.dc.host"),
        &["error unknown-component apps/shop/web.yaml:5:8 /data/url"],
    ),
    (
        |r| r.replace(APPLICATION, "      expose: {service: db, nodePort: 30001}\n", ""),
        &["error not-exposed apps/shop/web.yaml:5:8 /data/url"],
    ),
    (
        |r| r.replace(APPLICATION, "      dependsOn: [{component: db, maxLatency: 40ms}]\n", ""),
        &["error undeclared-dependency apps/shop/web.yaml:5:8 /data/url"],
    ),
    (
        |r| r.replace("apps/shop/db/service.yaml", "{port: 5432}", ""),
        &["error service-without-port apps/shop/application.yaml:13:25 /spec/components/1/expose/service"],
    ),
    (
        |r| r.replace("apps/shop/db/service.yaml", "{app: db}", "{}"),
        &[
            "error service-without-selector apps/shop/application.yaml:13:25 /spec/components/1/expose/service",
        ],
    ),
    (
        |r| r.replace(APPLICATION, "spec:\n", "spec:\n  namespace: kube-system\n"),
        &["error system-namespace apps/shop/application.yaml:5:14 /spec/namespace"],
    ),
    (
        |r| {
            r.replace(APPLICATION, "      tiers: [cloud]\n", "      tolerations: [{operator: Exists, value: x}, {effect: NoSchedule}]\n      clusterSelector: {matchExpressions: [{key: a, operator: In}]}\n")
        },
        &[
            "error invalid-value apps/shop/application.yaml:9:47 /spec/components/0/tolerations/0/value",
            "error missing-field apps/shop/application.yaml:9:52 /spec/components/0/tolerations/1",
            "error invalid-value apps/shop/application.yaml:10:45 /spec/components/0/clusterSelector/matchExpressions/0",
        ],
    ),
    (
        |r| {
            r.replace(
                APPLICATION,
                "      tiers: [cloud]\n",
                "      colocate: [web, bd]\n      separate: [{from: db}, {from: db}]\n",
            )
        },
        &[
            "error invalid-value apps/shop/application.yaml:9:18 /spec/components/0/colocate/0",
            "error unknown-component apps/shop/application.yaml:9:23 /spec/components/0/colocate/1",
            "error duplicate-name apps/shop/application.yaml:10:37 /spec/components/0/separate/1/from",
        ],
    ),
    (
        |r| {
            r.replace(
                APPLICATION,
                "      tiers: [cloud]\n",
                "      colocate: [db]\n      separate: [{from: db, by: region}]\n",
            )
        },
        &["error contradiction apps/shop/application.yaml:10:25 /spec/components/0/separate/0/from"],
    ),
    (
        |r| {
            r.replace(
                APPLICATION,
                "      tiers: [cloud]\n",
                "      replicas: {division: all, clusters: 2, weights: [1]}\n      spread: {min: 2}\n",
            )
        },
        &[
            "error contradiction apps/shop/application.yaml:9:43 /spec/components/0/replicas/clusters",
            "error contradiction apps/shop/application.yaml:9:46 /spec/components/0/replicas/weights",
            "error contradiction apps/shop/application.yaml:10:7 /spec/components/0/spread",
        ],
    ),
    (
        |r| {
            r.replace(
                APPLICATION,
                "      tiers: [cloud]\n",
                "      replicas: {division: weighted, clusters: 2, weights: [1, 1, 1]}\n      spread: {min: 3}\n      colocate: [db]\n",
            )
        },
        &[
            "error contradiction apps/shop/application.yaml:7:13 /spec/components/0/name",
            "error too-few-replicas apps/shop/application.yaml:9:7 /spec/components/0/replicas",
            "error contradiction apps/shop/application.yaml:9:51 /spec/components/0/replicas/weights",
            "error contradiction apps/shop/application.yaml:10:21 /spec/components/0/spread/min",
        ],
    ),
    (
        |r| r.replace(APPLICATION, "      tiers: [cloud]\n", "      onLost: afterLease\n"),
        &["error contradiction apps/shop/application.yaml:9:15 /spec/components/0/onLost"],
    ),
    (
        |r| r.replace(APPLICATION, "      tiers: [cloud]\n", "      minAvailable: 2\n"),
        &["error contradiction apps/shop/application.yaml:9:21 /spec/components/0/minAvailable"],
    ),
    (
        |r| r.replace(APPLICATION, "      tiers: [cloud]\n", "      replicas: {division: weighted}\n"),
        &["error contradiction apps/shop/application.yaml:9:7 /spec/components/0/replicas"],
    ),
    (
        |r| r.replace(APPLICATION, "      tiers: [cloud]\n", "      spread: {by: region, min: 2}\n"),
        &["error too-few-replicas apps/shop/application.yaml:9:7 /spec/components/0/spread"],
    ),
    (
        |r| {
            r.replace(
                APPLICATION,
                "tiers: [cloud]",
                "clusterSelector: {matchFields: [{key: spec.color, operator: Exists}]}",
            )
        },
        &[
            "error unknown-field apps/shop/application.yaml:9:45 /spec/components/0/clusterSelector/matchFields/0/key",
        ],
    ),
    (
        |r| r.replace(WEB, "kind: ConfigMap", "kind: ConfigMap\nkind: Secret"),
        &["error duplicate-key apps/shop/web.yaml:3:1"],
    ),
    (|r| r.replace(WEB, "data:\n", "data: !vault\n"), &["error unknown-tag apps/shop/web.yaml:4:7"]),
];
