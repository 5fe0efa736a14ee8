//! The one HTTP client of the host, for fetching modules.

use std::time::Duration;

/// A server that sends nothing for this long is given up.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// As long as a slow network may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes a client that speaks https only, with the platform's root certificates.
pub(crate) fn client() -> Result<reqwest::Client, String> {
    // A second installation fails, and then there is one already: both are fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .https_only(true)
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .build()
        .map_err(|error| error.to_string())
}
