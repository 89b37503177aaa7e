//! The files of a bundle, as the manifest lists them.

use serde::Deserialize;

/// The files of a bundle, without the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// The ONNX graph.
    pub graph: BundleFile,
    /// The weights: external data of the graph.
    pub weights: BundleFile,
    /// The embedding table, one row per token id, little-endian. A row is f32 `[embedding]`; in int8
    /// it is a scale (f32) followed by i8 `[embedding]`.
    pub words: BundleFile,
    /// The rules of the tokenizer, in the format of the tokenizers library without the vocabulary.
    pub tokenizer: BundleFile,
    /// The vocabulary of the tokenizer: for WordPiece one entry per line, otherwise pieces with the
    /// tables to look them up.
    pub vocabulary: BundleFile,
    /// The dense layers that follow the pooling, little-endian f32: for each layer the weight in
    /// panels, `[outputs / 32, inputs, 32]` with the last panel padded to whole, then the bias
    /// `[outputs]`. `None` if there is no dense layer.
    #[serde(default)]
    pub dense: Option<BundleFile>,
}

impl Files {
    /// Every file.
    pub fn iter(&self) -> impl Iterator<Item = &BundleFile> {
        self.named().map(|(_, file)| file)
    }

    /// Every file with its fields in the manifest.
    pub(super) fn named(&self) -> impl Iterator<Item = (FileFields, &BundleFile)> {
        [
            (FileFields::new("files.graph.path", "files.graph.sha256"), Some(&self.graph)),
            (FileFields::new("files.weights.path", "files.weights.sha256"), Some(&self.weights)),
            (FileFields::new("files.words.path", "files.words.sha256"), Some(&self.words)),
            (
                FileFields::new("files.tokenizer.path", "files.tokenizer.sha256"),
                Some(&self.tokenizer),
            ),
            (
                FileFields::new("files.vocabulary.path", "files.vocabulary.sha256"),
                Some(&self.vocabulary),
            ),
            (FileFields::new("files.dense.path", "files.dense.sha256"), self.dense.as_ref()),
        ]
        .into_iter()
        .filter_map(|(fields, file)| Some((fields, file?)))
    }
}

/// The names of a file's fields in the manifest.
pub(super) struct FileFields {
    pub(super) path: &'static str,
    pub(super) sha256: &'static str,
}

impl FileFields {
    fn new(path: &'static str, sha256: &'static str) -> Self {
        Self { path, sha256 }
    }
}

/// One file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleFile {
    /// File name in the bundle's folder.
    pub path: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// sha256 of the content, 64 lowercase hex digits.
    pub sha256: String,
}
