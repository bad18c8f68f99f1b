//! The documentation has the table of options that the code has.

use tidegate::config::reference;

#[test]
fn the_tables_of_the_documentation_are_those_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) =
        page.split_once("<!-- options -->\n").expect("the page marks where the tables begin");
    let (_, after) = rest.split_once("<!-- end of options -->").expect("the page marks where the tables end");
    let wanted =
        format!("{before}<!-- options -->\n\n{}<!-- end of options -->{after}", reference::markdown());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, wanted).unwrap();
    } else {
        assert!(page == wanted, "docs/configuration.md is out of date: run this test with UPDATE_DOCS=1");
    }
}
