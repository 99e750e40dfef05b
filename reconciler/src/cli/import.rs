//! `qonnect import`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;
use qonnect_schema::diagnostic;
use qonnect_schema::layout::APPLICATIONS;
use qonnect_schema::validate;
use qonnect_schema::yaml::Limits;

use super::validate::place;
use super::{Status, output};
use crate::files;
use source::Source;
use swarmchestrate::TIERS;

mod clusterprofiles;
mod parts;
mod routes;
mod source;
mod swarmchestrate;

/// Ten thousand ClusterProfiles with all that their managers know.
const PROFILES: Limits = Limits { bytes: 64 << 20, nodes: 4_000_000, ..Limits::DEFAULT };

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, clap::Subcommand)]
enum From {
    /// An application of the original QONNECT
    Swarmchestrate(Swarmchestrate),
    /// Clusters that a cluster manager describes (multicluster.x-k8s.io, KEP-4322)
    Clusterprofiles(Clusterprofiles),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 all is taken over, 1 something needs a person, 2 it could not run.

Each group of objects that belong together becomes a component of its own; `[CLOUD_CLUSTER_IP]` and its like become
`${component.NAME.host}`, and an Ingress between tiers a node port.

Examples:
  qonnect import swarmchestrate shop --cloud web.yaml --fog orders.yaml --edge sensor.yaml --out my-fleet")]
struct Swarmchestrate {
    /// The folder that holds application.yaml
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The manifests of its cloud tier, within DIR
    #[arg(long, value_name = "FILE")]
    cloud: Option<PathBuf>,
    /// Those of its fog tier
    #[arg(long, value_name = "FILE")]
    fog: Option<PathBuf>,
    /// Those of its edge tier
    #[arg(long, value_name = "FILE")]
    edge: Option<PathBuf>,
    /// The repository that takes it, as apps/NAME
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 all is taken over, 1 something needs a person, 2 it could not run.

Examples:
  kubectl get clusterprofiles -A -o yaml | qonnect import clusterprofiles - --tier cloud --out my-fleet")]
struct Clusterprofiles {
    /// Objects or lists of them, YAML or JSON; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The tier of clusters that have no property qonnect.io/tier
    #[arg(long, value_name = "TIER")]
    tier: Option<String>,
    /// The repository that takes them, as clusters/NAME.yaml
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

pub(super) fn run(args: Args) -> Status {
    match args.from {
        From::Swarmchestrate(args) => swarmchestrate(args),
        From::Clusterprofiles(args) => clusterprofiles(args),
    }
}

fn repository(out: &Path) -> anyhow::Result<PathBuf> {
    Ok(place(out).context("name a repository with --out; `qonnect init` makes one")?.0)
}

fn clusterprofiles(args: Clusterprofiles) -> Status {
    let root = repository(&args.out)?;
    let documents = Source::read(&args.file)?.documents(&PROFILES)?;
    let mut imported = clusterprofiles::import(documents, args.tier.as_deref())?;
    imported.files.retain(|path, _| {
        let there = root.join(path).exists();
        if there {
            imported.notes.push(format!("{path} is there already and stays as it is"));
        }
        !there
    });
    write(&root, &imported.files)?;
    let names = imported.files.keys().map(|path| format!("{path}\n"));
    let notes = imported.notes.iter().map(|note| format!("note: {note}\n"));
    output::print(&names.chain(notes).collect::<String>())?;
    told(&root, |file| imported.files.contains_key(file), !imported.notes.is_empty())
}

fn swarmchestrate(args: Swarmchestrate) -> Status {
    let root = repository(&args.out)?;
    let before = validate::repository(&files::tree(&root)?, "", Timestamp::UNIX_EPOCH);
    let components =
        before.revision.applications.values().flat_map(|source| &source.application.spec.components);
    let taken: BTreeSet<u16> =
        components.filter_map(|component| Some(component.expose.as_ref()?.node_port)).collect();

    let application = Source::read(&args.folder.join("application.yaml"))?;
    let mut tiers = Vec::new();
    for (tier, file) in TIERS.into_iter().zip([&args.cloud, &args.fog, &args.edge]) {
        if let Some(file) = file {
            tiers.push((tier, Source::read(&args.folder.join(file))?));
        }
    }
    ensure!(!tiers.is_empty(), "name the manifests of its tiers: --cloud FILE, --fog FILE, --edge FILE");
    let imported = swarmchestrate::import(&application, &tiers, &taken)?;

    let inside = format!("{APPLICATIONS}/{}", imported.name);
    let folder = root.join(&inside);
    if folder.exists() {
        bail!("{} is there already; remove it, or rename the application", folder.display());
    }
    write(&folder, &imported.files)?;
    output::print(&imported.told(&folder))?;
    told(&root, |file| file.starts_with(&format!("{inside}/")), !imported.notes.is_empty())
}

fn write(folder: &Path, files: &BTreeMap<String, String>) -> anyhow::Result<()> {
    for (file, text) in files {
        let path = folder.join(file);
        let parent = path.parent().expect("a file lies in a folder");
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Says what is wrong with what was written; the status says whether that, or a note, needs a person.
fn told(root: &Path, written: impl Fn(&str) -> bool, notes: bool) -> Status {
    let tree = files::tree(root)?;
    let mut findings = validate::repository(&tree, "", Timestamp::UNIX_EPOCH).findings;
    findings.retain(|finding| written(&finding.file));
    anstream::eprint!("{}", diagnostic::text(&findings, &tree, true));
    Ok(ExitCode::from(u8::from(notes || !findings.is_empty())))
}
