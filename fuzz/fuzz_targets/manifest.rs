//! A manifest: any bytes are refused, or name files of the bundle's own folder.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use semblance::internals::bundle::{Manifest, Task};

fuzz_target!(|bytes: &[u8]| {
    let Ok(manifest) = Manifest::parse(bytes) else { return };
    let folder = Path::new("/mnt/models/m");
    for file in manifest.files.iter() {
        let path = folder.join(&file.path);
        assert_eq!(path.parent(), Some(folder));
        assert_eq!(path.file_name(), Some(file.path.as_ref()));
        assert_eq!(file.sha256.len(), 64);
    }
    assert_eq!(folder.join(&manifest.model_name).parent(), Some(folder));
    assert_eq!(manifest.pooling.is_some(), manifest.task == Task::Embedding);
    assert!(manifest.hidden_size > 0 && manifest.vocabulary_size > 0 && manifest.max_tokens > 0);
});
