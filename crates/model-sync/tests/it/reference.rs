//! The documentation lists what the code has.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use semblance_model_sync::Config;
use semblance_process::Environment;
use semblance_test_support::table_names;
use tempfile::TempDir;

use crate::bundle::Bundle;
use crate::function::Setting;
use crate::moto::Moto;

#[test]
fn the_documentation_lists_every_variable() {
    let read = Rc::<RefCell<BTreeSet<String>>>::default();
    let environment = Environment::from_lookup({
        let read = Rc::clone(&read);
        move |name| {
            read.borrow_mut().insert(name.to_owned());
            // Without these two, the others are not read.
            let required = ["SEMBLANCE_MODELS_ROOT", "SEMBLANCE_MODELS_BUCKET"];
            required.contains(&name).then(|| "/mnt/models".to_owned())
        }
    });
    Config::from_environment(&environment).unwrap();
    let heading = "## Environment variables of model-sync";
    assert_eq!(table_names("docs/configuration.md", heading), *read.borrow());
}

#[test]
fn the_documentation_lists_every_field_of_a_report() {
    let (root, bucket) = (TempDir::new().unwrap(), Moto::shared().bucket());
    let bundle = Bundle::new(1_000, 10_000);
    bucket.upload(&bundle);
    let function = Setting::new(root.path(), &bucket).start();
    function.report(&bundle.event());
    let mut verify = bundle.event();
    verify["verify"] = true.into();
    let report = function.report(&verify);
    let fields: BTreeSet<String> = report.as_object().unwrap().keys().cloned().collect();
    assert_eq!(table_names("docs/events.md", "### Reports of model-sync"), fields);
}
