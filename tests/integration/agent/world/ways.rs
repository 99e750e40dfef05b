//! What may stand between the agent and the API server, and between the agent and Git.

use qonnect_tests::front::Front;
use qonnect_tests::proxy::Proxy;
use serde_json::{Value, json};

use super::World;

impl World {
    /// From the next start on the agent reaches the API server and Git through these only.
    pub(in super::super) async fn through_proxies(&self) -> (Proxy, Proxy) {
        let mut kubeconfig = self.kubeconfig();
        let server = &mut kubeconfig["clusters"][0]["cluster"]["server"];
        let address = server.as_str().unwrap().trim_start_matches("https://").parse().unwrap();
        let (api, git) = (Proxy::start(address).await, Proxy::start(self.address).await);
        *server = format!("https://{}", api.address).into();
        self.reach_by(&kubeconfig);
        self.configure(|config| {
            config["repository"]["url"] = format!("http://{}/fleet.git", git.address).into();
        });
        (api, git)
    }

    /// From the next start on the agent reaches the API server through this only.
    pub(in super::super) async fn through_front(&self) -> Front {
        let front = Front::start(&self.plane.kubeconfig_path()).await;
        let mut kubeconfig = self.kubeconfig();
        kubeconfig["clusters"][0]["cluster"] = json!({"server": format!("http://{}", front.address)});
        self.reach_by(&kubeconfig);
        front
    }

    /// The administrator's.
    pub(in super::super) fn kubeconfig(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.plane.kubeconfig_path()).unwrap()).unwrap()
    }

    /// From the next start on the agent uses this one.
    pub(in super::super) fn reach_by(&self, kubeconfig: &Value) {
        let path = self.folder.join("kubeconfig");
        std::fs::write(&path, kubeconfig.to_string()).unwrap();
        self.configure(|config| config["kubeconfig"] = path.to_str().into());
    }
}
