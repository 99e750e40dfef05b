//! The JSON Schemas that editors use are those of the types.

use std::collections::BTreeSet;

use qonnect_schema::json_schema::Kind;
use qonnect_tests::folder::repository;

#[test]
fn the_committed_schemas_are_those_of_the_types() {
    let folder = repository().join("schema/json");
    let files = std::fs::read_dir(&folder).expect("schema/json is there");
    let names: BTreeSet<String> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names, Kind::ALL.map(Kind::file_name).into());
    for kind in Kind::ALL {
        let committed = std::fs::read_to_string(folder.join(kind.file_name())).unwrap();
        let wanted = format!("{:#}\n", kind.schema());
        assert!(committed == wanted, "{} differs from its type; run `make gen`", kind.file_name());
    }
}
