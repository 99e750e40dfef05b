//! The addresses and node ports of Services.

use std::collections::BTreeSet;

use serde_json::Value;

/// The range that Kubernetes allocates node ports from.
pub(super) const NODE_PORTS: std::ops::RangeInclusive<u64> = 30_000..=32_767;

/// What Services of one cluster hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Ports {
    addresses: BTreeSet<u16>,
    node_ports: BTreeSet<(u64, String)>,
}

impl Ports {
    /// A free address of the service range, or the one that is asked for if it is free.
    pub(super) fn take_address(&mut self, asked: Option<&str>) -> Option<String> {
        let number = match asked {
            Some(text) => {
                let mut parts = text.strip_prefix("10.96.")?.splitn(2, '.').map(str::parse::<u8>);
                u16::from_be_bytes([parts.next()?.ok()?, parts.next()?.ok()?])
            }
            None => (10..u16::MAX).find(|number| !self.addresses.contains(number))?,
        };
        let [high, low] = number.to_be_bytes();
        self.addresses.insert(number).then(|| format!("10.96.{high}.{low}"))
    }

    pub(super) fn is_free(&self, port: u64, protocol: &str) -> bool {
        !self.node_ports.contains(&(port, protocol.to_owned()))
    }

    pub(super) fn take_port(&mut self, port: u64, protocol: &str) {
        self.node_ports.insert((port, protocol.to_owned()));
    }

    pub(super) fn take_any_port(&mut self, protocol: &str) -> Option<u64> {
        let port = NODE_PORTS.into_iter().find(|port| self.is_free(*port, protocol))?;
        self.take_port(port, protocol);
        Some(port)
    }

    /// Gives back what a Service held.
    pub(super) fn release(&mut self, service: &Value) {
        let address = service["spec"]["clusterIP"].as_str().and_then(|text| text.strip_prefix("10.96."));
        if let Some((high, low)) = address.and_then(|rest| rest.split_once('.'))
            && let (Ok(high), Ok(low)) = (high.parse(), low.parse())
        {
            self.addresses.remove(&u16::from_be_bytes([high, low]));
        }
        for port in service["spec"]["ports"].as_array().into_iter().flatten() {
            if let Some(number) = port["nodePort"].as_u64() {
                let protocol = port["protocol"].as_str().unwrap_or("TCP");
                self.node_ports.remove(&(number, protocol.to_owned()));
            }
        }
    }
}
