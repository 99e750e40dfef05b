//! `qonnect import`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;
use qonnect_schema::diagnostic;
use qonnect_schema::layout::APPLICATIONS;
use qonnect_schema::validate;

use super::validate::place;
use super::{Status, output};
use crate::files;
use swarmchestrate::{Source, TIERS};

mod parts;
mod routes;
mod swarmchestrate;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, clap::Subcommand)]
enum From {
    /// An application of the original QONNECT
    Swarmchestrate(Swarmchestrate),
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

pub(super) fn run(args: Args) -> Status {
    let From::Swarmchestrate(args) = args.from;
    let (root, _) = place(&args.out).context("name a repository with --out; `qonnect init` makes one")?;
    let before = validate::repository(&files::tree(&root)?, "", Timestamp::UNIX_EPOCH);
    let components =
        before.revision.applications.values().flat_map(|source| &source.application.spec.components);
    let taken: BTreeSet<u16> =
        components.filter_map(|component| Some(component.expose.as_ref()?.node_port)).collect();

    let application = source(&args.folder, Path::new("application.yaml"))?;
    let mut tiers = Vec::new();
    for (tier, file) in TIERS.into_iter().zip([&args.cloud, &args.fog, &args.edge]) {
        if let Some(file) = file {
            tiers.push((tier, source(&args.folder, file)?));
        }
    }
    ensure!(!tiers.is_empty(), "name the manifests of its tiers: --cloud FILE, --fog FILE, --edge FILE");
    let imported = swarmchestrate::import(&application, &tiers, &taken)?;

    let inside = format!("{APPLICATIONS}/{}", imported.name);
    let folder = root.join(&inside);
    if folder.exists() {
        bail!("{} is there already; remove it, or rename the application", folder.display());
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (file, text) in &imported.files {
        let path = folder.join(file);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    output::print(&imported.told(&folder))?;

    let tree = files::tree(&root)?;
    let mut findings = validate::repository(&tree, "", Timestamp::UNIX_EPOCH).findings;
    findings.retain(|finding| finding.file.starts_with(&format!("{inside}/")));
    anstream::eprint!("{}", diagnostic::text(&findings, &tree, true));
    let open = !imported.notes.is_empty() || !findings.is_empty();
    Ok(ExitCode::from(u8::from(open)))
}

fn source(folder: &Path, file: &Path) -> anyhow::Result<Source> {
    let path = folder.join(file);
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Source { file: path.display().to_string(), bytes })
}
