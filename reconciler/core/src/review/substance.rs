//! What a draft changes, without what changes from one plan to the next.

use qonnect_schema::documents::placement::ComponentPlacement;
use qonnect_schema::{Placement, layout};
use sha2::{Digest, Sha256};

use crate::decision::Draft;

/// The same for two drafts that leave the same objects on the same clusters and the same components where they
/// are; deadlines, scores, generations and who decided do not count.
pub fn substance(draft: &Draft) -> String {
    let mut hash = Sha256::new();
    let mut add = |text: &[u8]| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    for (path, bytes) in draft.files.iter().filter(|(path, _)| is_rendered(path)) {
        add(path.as_bytes());
        match bytes {
            Some(bytes) => add(&Sha256::digest(bytes)),
            None => add(b""),
        }
    }
    for (application, placement) in &draft.placements {
        add(application.as_bytes());
        add(&serde_json::to_vec(&placement.as_ref().map(places)).expect("texts have a JSON form"));
    }
    hex::encode(&hash.finalize()[..8])
}

pub(super) fn is_rendered(path: &str) -> bool {
    path.strip_prefix(layout::CLUSTERS).is_some_and(|rest| !rest.ends_with(&format!("/{}", layout::RELEASE)))
}

fn places(placement: &Placement) -> Vec<impl serde::Serialize + '_> {
    let place = |(name, component): (&String, &ComponentPlacement)| {
        let moving = component.moving.as_ref().map(|moving| (moving.from.clone(), moving.phase));
        (name.clone(), component.cluster.clone(), moving, component.stranded)
    };
    placement.spec.components.iter().map(place).collect()
}
