//! `${…}` in the strings of manifests: a closed list of names, no expressions; `$${` stands for `${`.

/// A part of a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    Text(&'a str),
    Variable(Variable<'a>),
    /// What stands between the braces, or after them if they are never closed.
    Unknown(&'a str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variable<'a> {
    ClusterName,
    ClusterRegion,
    ClusterTier,
    /// Where this component is reached from the cluster that is rendered.
    ComponentHost(&'a str),
    ComponentPort(&'a str),
}

/// The names that may stand between the braces.
pub const NAMES: [&str; 5] =
    ["cluster.name", "cluster.region", "cluster.tier", "component.<name>.host", "component.<name>.port"];

impl<'a> Variable<'a> {
    pub fn parse(name: &'a str) -> Option<Self> {
        Some(match name {
            "cluster.name" => Self::ClusterName,
            "cluster.region" => Self::ClusterRegion,
            "cluster.tier" => Self::ClusterTier,
            _ => {
                let (component, field) = name.strip_prefix("component.")?.rsplit_once('.')?;
                match field {
                    "host" if !component.is_empty() => Self::ComponentHost(component),
                    "port" if !component.is_empty() => Self::ComponentPort(component),
                    _ => return None,
                }
            }
        })
    }
}

/// Cuts a string into its pieces; joined, with each variable replaced, they are what is deployed.
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let escaped = rest[..at].ends_with('$');
        let before = &rest[..at - usize::from(escaped)];
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        let inner = &rest[at + 2..];
        if escaped {
            pieces.push(Piece::Text("${"));
            rest = inner;
        } else if let Some(end) = inner.find('}') {
            let name = &inner[..end];
            pieces.push(Variable::parse(name).map_or(Piece::Unknown(name), Piece::Variable));
            rest = &inner[end + 1..];
        } else {
            pieces.push(Piece::Unknown(inner));
            rest = "";
        }
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_cut_at_its_variables() {
        let host = Piece::Variable(Variable::ComponentHost("a-b"));
        assert_eq!(
            pieces("http://${component.a-b.host}:${component.a-b.port}/"),
            [
                Piece::Text("http://"),
                host,
                Piece::Text(":"),
                Piece::Variable(Variable::ComponentPort("a-b")),
                Piece::Text("/")
            ]
        );
        assert_eq!(pieces("${cluster.name}"), [Piece::Variable(Variable::ClusterName)]);
        assert_eq!(pieces("no $dollar { }"), [Piece::Text("no $dollar { }")]);
        assert_eq!(pieces(""), []);
    }

    #[test]
    fn two_dollars_stand_for_one() {
        assert_eq!(pieces("$${HOME}"), [Piece::Text("${"), Piece::Text("HOME}")]);
        assert_eq!(pieces("a$${x}"), [Piece::Text("a"), Piece::Text("${"), Piece::Text("x}")]);
    }

    #[test]
    fn any_other_name_is_unknown() {
        for name in
            ["HOME", "cluster.Name", "component.host", "component..host", "component.a.ip", " cluster.name"]
        {
            assert_eq!(pieces(&format!("${{{name}}}")), [Piece::Unknown(name)]);
        }
        assert_eq!(pieces("a ${cluster.name"), [Piece::Text("a "), Piece::Unknown("cluster.name")]);
    }
}
