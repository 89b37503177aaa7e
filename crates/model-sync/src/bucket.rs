//! The S3 bucket with the bundles. This is the only file that uses the AWS SDK.

use std::io;
use std::ops::Range;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, HttpClient, ResponseChecksumValidation};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use super::error::SyncError;

/// Maximum number of requests for a range. The SDK retries requests that fail before the first byte,
/// but not responses that end early.
const ATTEMPTS: u32 = 3;

/// Timeout until a response starts.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(20);

/// The location of the bundles in S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketOptions {
    /// Name of the bucket.
    pub bucket: String,
    /// Prefix of the keys, without a leading or trailing slash.
    pub prefix: String,
    /// Whether URLs contain the bucket in the path instead of the host. Emulators require it.
    pub path_style: bool,
}

/// A client for the bucket.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: Client,
    options: BucketOptions,
}

impl Bucket {
    /// Returns a client that is configured by the environment of the AWS SDK. Does not connect.
    pub async fn from_sdk_env(options: BucketOptions) -> Self {
        let timeouts = TimeoutConfig::builder().read_timeout(RESPONSE_TIMEOUT).build();
        let sdk = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http_client())
            .timeout_config(timeouts)
            // The caller hashes every byte, and S3 has no checksum for a range of an object.
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .load()
            .await;
        let config = Builder::from(&sdk).force_path_style(options.path_style).build();
        Self { client: Client::from_conf(config), options }
    }

    /// Prefix of the keys.
    pub(crate) fn prefix(&self) -> &str {
        &self.options.prefix
    }

    /// Returns a client for another location, with the same connections and credentials.
    #[must_use]
    pub fn at(&self, options: BucketOptions) -> Self {
        Self { client: self.client.clone(), options }
    }

    /// Returns the content of a small object, such as a manifest.
    pub(crate) async fn object(&self, key: &str, limit_bytes: u64) -> Result<Vec<u8>, SyncError> {
        let object = self.get(key, None).await?;
        let found_bytes = length(object.content_length);
        if found_bytes > limit_bytes {
            let key = key.to_owned();
            return Err(SyncError::ObjectTooLarge { key, found_bytes, limit_bytes });
        }
        read(object.body, found_bytes).await.map_err(|error| storage(key, error))
    }

    /// Returns the size of an object.
    pub(crate) async fn size_bytes(&self, key: &str) -> Result<u64, SyncError> {
        let request = self.client.head_object().bucket(&self.options.bucket).key(key);
        let object = request.send().await.map_err(|error| self.failure(key, error))?;
        Ok(length(object.content_length))
    }

    /// Returns a range of an object. `bytes` must not be empty.
    pub(crate) async fn range(&self, key: &str, bytes: Range<u64>) -> Result<Vec<u8>, SyncError> {
        let mut attempt = 1;
        loop {
            let object = self.get(key, Some(&bytes)).await?;
            match read(object.body, bytes.end - bytes.start).await {
                Ok(block) => return Ok(block),
                Err(error) if attempt == ATTEMPTS => return Err(storage(key, error)),
                Err(_) => tokio::time::sleep(Duration::from_millis(100) * attempt).await,
            }
            attempt += 1;
        }
    }

    async fn get(
        &self,
        key: &str,
        bytes: Option<&Range<u64>>,
    ) -> Result<GetObjectOutput, SyncError> {
        let range = bytes.map(|bytes| format!("bytes={}-{}", bytes.start, bytes.end - 1));
        let request = self.client.get_object().bucket(&self.options.bucket).key(key);
        request.set_range(range).send().await.map_err(|error| self.failure(key, error))
    }

    /// Converts an error of the SDK.
    fn failure<E>(&self, key: &str, error: SdkError<E>) -> SyncError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        // The response to HEAD has no body, so only the status is available for every operation.
        let status = error.raw_response().map(|response| response.status().as_u16());
        match (status, error.code()) {
            (Some(404), code) if code != Some("NoSuchBucket") => SyncError::ObjectMissing {
                bucket: self.options.bucket.clone(),
                key: key.to_owned(),
            },
            (Some(403), _) => SyncError::AccessDenied { key: key.to_owned(), source: error.into() },
            _ => storage(key, error),
        }
    }
}

/// Returns a client for HTTP and HTTPS.
fn http_client() -> impl HttpClient + 'static {
    aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https()
}

/// Reads a body of exactly `expected_bytes`. Fails on the first excess byte.
async fn read(
    mut body: ByteStream,
    expected_bytes: u64,
) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let expected = usize::try_from(expected_bytes)?;
    let mut bytes = Vec::with_capacity(expected);
    while let Some(chunk) = body.try_next().await? {
        if bytes.len() + chunk.len() > expected {
            return Err(io::Error::other("the response is longer than requested").into());
        }
        bytes.extend_from_slice(&chunk);
    }
    if bytes.len() < expected {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(bytes)
}

fn length(content_length: Option<i64>) -> u64 {
    content_length.and_then(|length| u64::try_from(length).ok()).unwrap_or(0)
}

fn storage(key: &str, source: impl Into<super::StorageError>) -> SyncError {
    SyncError::Storage { key: key.to_owned(), source: source.into() }
}
