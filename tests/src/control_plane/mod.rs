//! Real Kubernetes control planes as child processes on loopback.
//!
//! What they lack is the kubelet; [`crate::kubelet`] plays it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;

use crate::folder;
use crate::ports::free_port;
use crate::process::{Process, run};
use crate::wait::wait_for;

mod assets;
mod etcd;

use assets::Assets;

/// An API server needs some four seconds on a quiet machine, and many times that on a busy one.
const START: Duration = Duration::from_secs(120);

/// The administrator's token; the API server listens on loopback and lives as long as the test.
const TOKEN: &str = "administrator-of-a-test";

/// An API server, and where asked for the controllers and the scheduler, all of one cluster.
#[derive(Debug)]
pub struct ControlPlane {
    name: String,
    assets: Assets,
    folder: PathBuf,
    port: u16,
    /// API server first; empty while stopped.
    processes: Vec<Process>,
    with_controllers: bool,
}

impl ControlPlane {
    /// A cluster in which Deployments become Pods that are bound to nodes.
    pub async fn start(name: &str) -> Self {
        Self::start_with(name, true).await
    }

    /// Only the API server: objects are stored and nothing comes of them.
    pub async fn start_api(name: &str) -> Self {
        Self::start_with(name, false).await
    }

    async fn start_with(name: &str, with_controllers: bool) -> Self {
        let assets = Assets::find().unwrap_or_else(|missing| panic!("{missing}"));
        let folder = folder::fresh(name);
        write_identities(&folder);
        let port = free_port();
        let mut plane =
            Self { name: name.into(), assets, folder, port, processes: Vec::new(), with_controllers };
        plane.resume().await;
        plane
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The 20 of 1.20.
    pub fn minor(&self) -> u32 {
        self.assets.minor
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// A kubeconfig of somebody else, such as `system:serviceaccount:qonnect:agent`: to try what RBAC allows.
    pub fn kubeconfig_as(&self, user: &str) -> PathBuf {
        let path = self.folder.join(format!("kubeconfig-{}", user.replace([':', '/'], "-")));
        self.write_kubeconfig(&path, Some(user));
        path
    }

    /// A client of the administrator, for the calling runtime.
    pub async fn client(&self) -> kube::Client {
        client(&self.kubeconfig_path()).await.expect("the kubeconfig that the harness wrote is sound")
    }

    /// Ends all its processes as a power cut would. What was stored stays.
    pub fn stop(&mut self) {
        self.processes.clear();
    }

    /// Starts what [`Self::stop`] ended, at the same address, and waits until it is ready.
    pub async fn resume(&mut self) {
        self.stop();
        self.processes.push(self.launch("kube-apiserver", self.api_server()));
        self.api_server_is_ready().await;
        if self.with_controllers {
            self.processes.push(self.launch("kube-controller-manager", self.controller_manager()));
            self.processes.push(self.launch("kube-scheduler", self.scheduler()));
        }
    }

    /// The last lines that each process wrote.
    pub fn tails(&self) -> String {
        self.processes.iter().map(Process::tail).collect::<Vec<_>>().join("\n")
    }

    fn launch(&self, program: &str, arguments: Vec<String>) -> Process {
        let path = self.assets.program(program).unwrap_or_else(|missing| panic!("{missing}"));
        let mut command = Command::new(path);
        command.args(arguments);
        let name = format!("{program} of {}", self.name);
        let log = self.folder.join(format!("{program}.log"));
        Process::start(&name, command, &log).unwrap_or_else(|error| panic!("{name} does not start: {error}"))
    }

    async fn api_server_is_ready(&mut self) {
        let certificate = self.certificate();
        let kubeconfig = self.kubeconfig_path();
        let what = format!("the API server of {}", self.name);
        wait_for(&what, START, async || {
            let process = &mut self.processes[0];
            if let Some(status) = process.ended() {
                panic!("{what} ended with {status}\n{}", process.tail());
            }
            let tail = process.tail();
            if !certificate.is_file() {
                return Err(format!("it has written no certificate yet\n{tail}"));
            }
            self.write_kubeconfig(&kubeconfig, None);
            readyz(&kubeconfig).await.map_err(|error| format!("{error}\n{tail}"))
        })
        .await;
    }

    fn certificate(&self) -> PathBuf {
        self.folder.join("certificates/apiserver.crt")
    }

    fn write_kubeconfig(&self, path: &Path, user: Option<&str>) {
        let mut identity = json!({"token": TOKEN});
        if let Some(user) = user {
            identity["as"] = json!(user);
        }
        let server = format!("https://127.0.0.1:{}", self.port);
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": self.name, "cluster": {
                "server": server, "certificate-authority": self.certificate(),
            }}],
            "users": [{"name": "test", "user": identity}],
            "contexts": [{"name": self.name, "context": {"cluster": self.name, "user": "test"}}],
            "current-context": self.name,
        });
        std::fs::write(path, kubeconfig.to_string()).expect("the folder of the test can be written");
    }

    fn api_server(&self) -> Vec<String> {
        let file = |name| self.folder.join(name).display().to_string();
        vec![
            format!("--etcd-servers={}", etcd::url(&self.assets)),
            format!("--etcd-prefix=/{}", self.port),
            format!("--secure-port={}", self.port),
            "--bind-address=127.0.0.1".into(),
            // Nobody looks for this API server through its own Endpoints, and loopback may not stand there.
            "--endpoint-reconciler-type=none".into(),
            format!("--cert-dir={}", file("certificates")),
            format!("--token-auth-file={}", file("tokens.csv")),
            "--authorization-mode=RBAC".into(),
            "--service-account-issuer=https://kubernetes.default.svc".into(),
            format!("--service-account-key-file={}", file("service-account.pem")),
            format!("--service-account-signing-key-file={}", file("service-account.pem")),
            "--service-cluster-ip-range=10.96.0.0/16".into(),
            // The first waits for a controller that gives every account a token; the second taints new nodes
            // until a controller that the kubelet talks to lifts it.
            "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition".into(),
        ]
    }

    fn controller_manager(&self) -> Vec<String> {
        let controllers = "deployment,replicaset,statefulset,daemonset,job,cronjob,namespace,garbagecollector,\
                           endpoint,endpointslice,serviceaccount";
        let mut arguments = self.client_arguments();
        arguments.push(format!("--controllers={controllers}"));
        arguments.push("--kube-api-qps=200".into());
        arguments.push("--kube-api-burst=400".into());
        arguments
    }

    fn scheduler(&self) -> Vec<String> {
        self.client_arguments()
    }

    fn client_arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            format!("--kubeconfig={}", self.kubeconfig_path().display()),
            "--leader-elect=false".into(),
            "--secure-port=0".into(),
        ];
        // Until 1.23 they also listen without TLS, at a fixed port that two planes cannot share.
        if self.assets.minor < 23 {
            arguments.push("--port=0".into());
        }
        arguments
    }
}

fn write_identities(folder: &Path) {
    let tokens = format!("{TOKEN},administrator,1,\"system:masters\"\n");
    std::fs::write(folder.join("tokens.csv"), tokens).expect("the folder of the test can be written");
    let key = folder.join("service-account.pem");
    let path = key.to_str().expect("paths of tests are UTF-8");
    run("ssh-keygen", &["-q", "-t", "ecdsa", "-b", "256", "-m", "PEM", "-N", "", "-f", path]);
}

/// A client for a kubeconfig file, whatever the machine's own configuration says.
pub async fn client(kubeconfig: &Path) -> Result<kube::Client, String> {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let file = Kubeconfig::read_from(kubeconfig).map_err(|error| error.to_string())?;
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(file, &options).await.map_err(|e| e.to_string())?;
    kube::Client::try_from(config).map_err(|error| error.to_string())
}

async fn readyz(kubeconfig: &Path) -> Result<(), String> {
    let request = http_get("/readyz");
    let answer = client(kubeconfig).await?.request_text(request).await;
    answer.map(drop).map_err(|error| error.to_string())
}

fn http_get(path: &str) -> axum::http::Request<Vec<u8>> {
    axum::http::Request::get(path).body(Vec::new()).expect("a fixed path is a sound request")
}
