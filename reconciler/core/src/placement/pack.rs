//! Whether components fit on the nodes of a cluster: their pods are packed, the largest first, each on the
//! first node that holds it.
//!
//! Whether a set of components fits depends on the set alone, never on the order in which it came together:
//! planning again finds room for what planning before found room for.

use std::cmp::Reverse;

use super::extended::{self, Extended};
use super::member::{Amounts, NATIVE, RESOURCES, Space};

/// The pods of one group of one component. The order of parcels is that of packing, the same on every cluster:
/// what every node takes first, then the largest. Parcels that tie are alike but for their component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Parcel {
    replicated: bool,
    size: Reverse<u64>,
    pub(super) pod: Amounts,
    /// `None`: one on every node.
    pub(super) count: Option<u32>,
    /// The component, by its position.
    pub(super) item: u32,
}

impl Parcel {
    pub(super) fn new(item: usize, count: Option<u32>, pod: Amounts) -> Self {
        // Sizes are compared in fixed units, so that no cluster changes the order on another.
        const ONE_VCPU: [u64; 3] = [1, (4 << 30) / 1000, (10 << 30) / 1000];
        let size = (0..3).map(|i| pod[i] / ONE_VCPU[i]).max().unwrap_or(0);
        Self { replicated: count.is_some(), size: Reverse(size), pod, count, item: item as u32 }
    }
}

/// A pod that fits on no node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misfit {
    /// The component, by its position.
    pub(super) item: usize,
    pub(super) pod: Amounts,
    /// How many pods of its group found room, and how many there are.
    pub(super) placed: u32,
    pub(super) wanted: u32,
}

/// Packs parcels, given in their order, onto nodes; what finds no room is told to `misfit`, which says whether to go on.
pub(super) fn pack<'p>(
    free: &mut [Amounts],
    parcels: impl Iterator<Item = &'p Parcel>,
    mut misfit: impl FnMut(Misfit) -> bool,
) {
    for parcel in parcels {
        let (placed, wanted) = match parcel.count {
            None => (place_on_each(free, &parcel.pod), free.len().max(1) as u32),
            Some(count) => (place(free, &parcel.pod, count), count),
        };
        if placed < wanted && !misfit(Misfit { item: parcel.item as usize, pod: parcel.pod, placed, wanted })
        {
            return;
        }
    }
}

fn place(free: &mut [Amounts], pod: &Amounts, count: u32) -> u32 {
    // Few pods ask for more than what every node has.
    match pod[NATIVE..].iter().any(|asked| *asked > 0) {
        false => place_by::<NATIVE>(free, pod, count),
        true => place_by::<RESOURCES>(free, pod, count),
    }
}

/// Of what is asked for, the first kinds alone.
fn place_by<const KINDS: usize>(free: &mut [Amounts], pod: &Amounts, count: u32) -> u32 {
    let mut left = count;
    for node in free {
        while left > 0 && take::<KINDS>(node, pod) {
            left -= 1;
        }
        if left == 0 {
            break;
        }
    }
    count - left
}

fn place_on_each(free: &mut [Amounts], pod: &Amounts) -> u32 {
    free.iter_mut().map(|node| u32::from(take::<RESOURCES>(node, pod))).sum()
}

fn take<const KINDS: usize>(node: &mut Amounts, pod: &Amounts) -> bool {
    let fits = (0..KINDS).all(|i| pod[i] <= node[i]);
    if fits {
        (0..KINDS).for_each(|i| node[i] -= pod[i]);
    }
    fits
}

impl Misfit {
    /// By how much it does not fit, given what is left on the nodes.
    pub(super) fn message(&self, nodes: &[Space], free: &[Amounts], names: &Extended) -> String {
        let Self { pod, placed, wanted, .. } = self;
        if pod[RESOURCES - 1] == extended::NEVER {
            return extended::too_many();
        }
        // The node that lacks least: in the fewest resources, then by the smallest share of the request.
        let lack = |node: &Amounts| {
            let lacking = (0..RESOURCES).filter(|i| pod[*i] > node[*i]);
            let shares = lacking.map(|i| ((pod[i] - node[i]) as u128 * 1_000_000 / u128::from(pod[i]), i));
            let worst = shares.clone().max().unwrap_or((0, 0));
            (shares.count(), worst)
        };
        // After a daemon's turn the nodes that took it have less left; those that refused it lack something.
        let closest =
            free.iter().zip(nodes).filter(|(node, _)| lack(node).0 > 0).min_by_key(|(node, _)| lack(node));
        let Some((node, space)) = closest else {
            return format!("has room for {placed} of {wanted} pods");
        };
        let (_, (_, i)) = lack(node);
        let need = format!(
            "needs {} {} on one node, {} free on {}",
            plain(pod[i], i),
            names.name(i),
            plain(node[i], i),
            space.name
        );
        match placed {
            0 => need,
            _ => format!("has room for {placed} of {wanted} pods: {need}"),
        }
    }
}

/// Decimal cores, and bytes in the largest unit that keeps them short.
pub(super) fn plain(value: u64, resource: usize) -> String {
    match resource {
        0 => format!("{}", value as f64 / 1000.0),
        1 | 2 => {
            let units = [(30, "Gi"), (20, "Mi"), (10, "Ki")];
            match units.iter().find(|(shift, _)| value >> shift > 0) {
                // Down, so that what is free never looks larger than it is.
                Some((shift, unit)) => {
                    let tenths = (u128::from(value) * 10) >> shift;
                    match tenths % 10 {
                        0 => format!("{}{unit}", tenths / 10),
                        _ => format!("{}.{}{unit}", tenths / 10, tenths % 10),
                    }
                }
                None => value.to_string(),
            }
        }
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GI: u64 = 1 << 30;

    fn amounts(milli: u64, memory: u64, storage: u64, pods: u64) -> Amounts {
        [milli, memory, storage, pods, 0, 0, 0, 0]
    }

    fn cpu(item: usize, milli: u64, count: Option<u32>) -> Parcel {
        Parcel::new(item, count, amounts(milli, 0, 0, 1))
    }

    fn misfits(nodes: &[u64], mut parcels: Vec<Parcel>) -> Vec<Misfit> {
        let mut free: Vec<Amounts> = nodes.iter().map(|milli| amounts(*milli, GI, GI, 10)).collect();
        let mut misfits = Vec::new();
        parcels.sort();
        pack(&mut free, parcels.iter(), |misfit| {
            misfits.push(misfit);
            true
        });
        misfits
    }

    #[test]
    fn the_largest_pods_come_first_so_that_small_ones_fill_the_gaps() {
        assert_eq!(misfits(&[1000, 1000], vec![cpu(0, 300, Some(2)), cpu(1, 700, Some(2))]), []);
    }

    #[test]
    fn a_sum_that_is_free_does_not_help_a_pod_that_fits_on_no_node() {
        let misfit = Misfit { item: 0, pod: amounts(1200, 0, 0, 1), placed: 0, wanted: 1 };
        assert_eq!(misfits(&[1000, 1000], vec![cpu(0, 1200, Some(1))]), [misfit]);
    }

    #[test]
    fn a_daemon_needs_room_on_every_node() {
        assert_eq!(misfits(&[1000, 500], vec![cpu(0, 500, None)]), []);
        assert_eq!(misfits(&[1000, 400], vec![cpu(0, 500, None)]).len(), 1);
        assert_eq!(misfits(&[], vec![cpu(0, 500, None)]).len(), 1);
    }

    #[test]
    fn a_misfit_says_by_how_much() {
        let nodes = [Space { name: "worker".into(), free: [0; RESOURCES], profile: 0 }];
        let misfit = |pod, placed| Misfit { item: 0, pod, placed, wanted: 3 };
        let free = [amounts(1500, 3 * GI / 2, GI, 10)];
        let names = Extended::default();
        assert_eq!(
            misfit(amounts(2000, 0, 0, 1), 0).message(&nodes, &free, &names),
            "needs 2 CPU on one node, 1.5 free on worker"
        );
        assert_eq!(
            misfit(amounts(0, 2 * GI, 0, 1), 1).message(&nodes, &free, &names),
            "has room for 1 of 3 pods: needs 2Gi memory on one node, 1.5Gi free on worker"
        );
    }
}
