//! Where the programs of a Kubernetes control plane lie on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::programs::cache;

/// The programs, all of one version of Kubernetes.
#[derive(Debug, Clone)]
pub(super) struct Assets {
    folder: PathBuf,
    pub(super) etcd: PathBuf,
    /// The 20 of 1.20.
    pub(super) minor: u32,
}

impl Assets {
    /// Looks in `KUBEBUILDER_ASSETS`, as envtest does, then in the cache that `make setup` fills.
    pub(super) fn find() -> Result<Self, String> {
        let there = folders().filter(|folder| folder.join("kube-apiserver").is_file());
        let folder = there.into_iter().find(|folder| serves_custom_resources(folder)).ok_or_else(|| {
            format!(
                "no Kubernetes control plane on this machine: no kube-apiserver that serves custom resources in KUBEBUILDER_ASSETS nor in {}; \
                 `make setup` puts one there",
                cache().join("kubernetes-*").display()
            )
        })?;
        let etcd = [folder.join("etcd"), "/usr/bin/etcd".into(), "/usr/local/bin/etcd".into()]
            .into_iter()
            .find(|program| program.is_file())
            .ok_or("no etcd on this machine; `make setup` installs it")?;
        let minor = minor_version(&folder)?;
        Ok(Self { folder, etcd, minor })
    }

    /// `kube-controller-manager` and the like; the published archives of envtest hold the API server only.
    pub(super) fn program(&self, name: &str) -> Result<PathBuf, String> {
        let program = self.folder.join(name);
        match program.is_file() {
            true => Ok(program),
            false => Err(format!(
                "no {name} in {}; `make setup` builds a complete control plane, then unset \
                 KUBEBUILDER_ASSETS",
                self.folder.display()
            )),
        }
    }
}

/// In order of preference; of several versions in the cache the last by name.
fn folders() -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(cache()).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_plane = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("kubernetes-"))
    };
    let mut cached: Vec<_> = entries.filter(is_plane).collect();
    cached.sort();
    std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from).into_iter().chain(cached.into_iter().rev())
}

/// As `tests/control-plane/install.sh` tells: an old API server that was built with a newer Go dies at the first
/// custom resource.
fn serves_custom_resources(folder: &Path) -> bool {
    let knows_its_go = || {
        let mut grep = Command::new("grep");
        grep.args(["--quiet", "--text", "reflect2/go_above_118.go"]).arg(folder.join("kube-apiserver"));
        grep.status().is_ok_and(|status| status.success())
    };
    minor_version(folder).is_ok_and(|minor| minor >= 23) || knows_its_go()
}

fn minor_version(folder: &Path) -> Result<u32, String> {
    let program = folder.join("kube-apiserver");
    let output = Command::new(&program)
        .arg("--version")
        .output()
        .map_err(|error| format!("{} does not run: {error}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let minor = text.split('.').nth(1).and_then(|minor| minor.parse().ok());
    minor.ok_or_else(|| {
        format!("{} --version says `{}`, not `Kubernetes v1.N.P`", program.display(), text.trim())
    })
}
