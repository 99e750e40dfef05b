//! Objects and node ports that two components of one revision want.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::application::Read;
use super::findings::{Findings, Origin};
use crate::claims::{Owners, Thing};
use crate::layout;

/// Finds them in one revision. The later application by name is at fault; within one, the later component.
pub(super) fn check(applications: &BTreeMap<String, Arc<Read>>, findings: &mut Findings) {
    let mut owners = Owners::default();
    for (name, read) in applications {
        for object in &read.objects {
            let owner = (name.clone(), object.component.clone());
            let origin = Origin::manifest(&object.file, object.document, name);
            if let Some(clash) = owners.claim(Thing::Object(object.id.clone()), &owner) {
                let pointer = format!("{}/metadata/name", object.pointer);
                let message = match clash.first == owner {
                    true => format!("{} stands twice in the component `{}`", clash.thing, owner.1),
                    false => clash.to_string(),
                };
                findings
                    .error(origin, "duplicate-object", pointer, message)
                    .help("an object belongs to one component: remove one of them, or rename it");
            }
        }
        let file = format!("{}/{name}/{}", layout::APPLICATIONS, layout::APPLICATION);
        for (index, component) in read.application.spec.components.iter().enumerate() {
            let Some(expose) = &component.expose else { continue };
            let owner = (name.clone(), component.name.clone());
            if let Some(clash) = owners.claim(Thing::NodePort(expose.node_port), &owner) {
                let pointer = format!("/spec/components/{index}/expose/nodePort");
                let finding = findings.error(
                    Origin::document(&file, Some(name)),
                    "duplicate-node-port",
                    pointer,
                    clash.to_string(),
                );
                finding.help("node ports are unique in the fleet: choose another one from 30000 to 32767");
            }
        }
    }
}
