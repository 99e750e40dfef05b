//! What the API says of itself, and what it says to nonsense.

use reqwest::Method;

use super::{Lead, report};

#[tokio::test]
async fn malformed_requests_are_problems_and_no_more() {
    let lead = Lead::start().await;
    let http = reqwest::Client::new();
    let url = lead.server.url();
    let too_large = vec![b' '; 9 << 20];
    for (method, path, body, status, reason) in [
        (Method::PUT, "/v1alpha1/clusters/fog/report", b"{".to_vec(), 400, "BadBody"),
        (
            Method::PUT,
            "/v1alpha1/clusters/fog/report",
            b"{\"incarnation\":1,\"x\":2}".to_vec(),
            400,
            "BadBody",
        ),
        (Method::PUT, "/v1alpha1/clusters/fog/report", too_large, 413, "TooLarge"),
        (
            Method::POST,
            "/v1alpha1/clusters/fog/heartbeat?wait=long",
            b"{\"incarnation\":1,\"generation\":0}".to_vec(),
            400,
            "BadQuery",
        ),
        (Method::GET, "/v1alpha1/clusters?wat=1", vec![], 400, "BadQuery"),
        (Method::GET, "/v1alpha1/nothing", vec![], 404, "NotFound"),
        (Method::DELETE, "/v1alpha1/clusters", vec![], 405, "MethodNotAllowed"),
    ] {
        let answer = http.request(method.clone(), format!("{url}{path}")).body(body).send().await.unwrap();
        assert_eq!(answer.status(), status, "{method} {path}");
        let problem: qonnect_schema::api::Problem = answer.json().await.unwrap();
        assert_eq!(problem.reason, reason, "{method} {path}: {}", problem.message);
    }
}

#[tokio::test]
async fn every_answer_is_as_the_openapi_document_describes_it() {
    let lead = Lead::start().await;
    lead.register("fog", 1).await.unwrap();
    lead.report("fog", &report(1)).await.unwrap();
    lead.release(1).await;
    let http = reqwest::Client::new();
    let url = lead.server.url();
    let get = async |path: &str| http.get(format!("{url}{path}")).send().await.unwrap();
    let document: serde_json::Value = get("/openapi.json").await.json().await.unwrap();
    let paths = document["paths"].as_object().unwrap();
    let described: Vec<_> = paths.keys().map(String::as_str).collect();
    for path in ["clusters", "nodes", "applications", "placements", "revisions", "events", "snapshot"] {
        assert!(described.contains(&&*format!("/v1alpha1/{path}")), "{path} is not described");
    }
    let mut checked = 0;
    for (path, operations) in paths {
        let Some(get_it) = operations.get("get") else { continue };
        // Without Git there is nothing to hand on; a group of leads does it elsewhere.
        if path.ends_with("/release") {
            continue;
        }
        let asked = path.replace("{application}", "shop");
        let answer = get(&asked).await;
        assert!(answer.status().is_success(), "GET {asked} gave {}", answer.status());
        let Some(schema) = get_it.pointer("/responses/200/content/application~1json/schema") else {
            continue;
        };
        let answer: serde_json::Value = answer.json().await.unwrap();
        conforms(&document, schema, &answer, path);
        checked += 1;
    }
    assert!(checked >= 8, "only {checked} answers were checked");
    let grant = lead.heartbeat("fog", 1, "0s").await.unwrap();
    let schema = &paths["/v1alpha1/clusters/{name}/heartbeat"]["post"]["responses"]["200"]["content"]["application/json"]
        ["schema"];
    conforms(&document, schema, &serde_json::to_value(grant).unwrap(), "grant");
}

/// References of the schema point into the document.
fn conforms(
    document: &serde_json::Value,
    schema: &serde_json::Value,
    answer: &serde_json::Value,
    what: &str,
) {
    let mut whole = schema.clone();
    whole["components"] = document["components"].clone();
    let validator = jsonschema::options().offline().build(&whole).unwrap();
    let faults: Vec<_> =
        validator.iter_errors(answer).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(faults.is_empty(), "{what}: {faults:?}");
}
