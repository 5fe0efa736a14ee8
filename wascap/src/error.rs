//! Every reason to refuse a claim, each with a stable code.

use crate::{ClaimsKind, Digest, KeyError, KeyKind, MAX_TOKEN_LEN, PublicKey};

/// Why claims were refused, or could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimsError {
    /// The module or archive carries no token.
    #[error("it is not signed: it carries no claims")]
    Missing,
    /// The module carries several tokens, or one hidden in a nested module: which of them speaks for it is open.
    #[error("it carries more than one token, or one inside a nested module")]
    Ambiguous,
    /// The token is longer than [`MAX_TOKEN_LEN`].
    #[error("the token has {found} bytes, more than the {MAX_TOKEN_LEN} allowed")]
    TokenTooLarge {
        /// Bytes found.
        found: usize,
    },
    /// The token is not three base64url segments of the expected JSON.
    #[error("the token is malformed: {0}")]
    TokenMalformed(&'static str),
    /// The token's JSON does not say what its kind must say.
    #[error("the token's claims are malformed: {0}")]
    ClaimsMalformed(String),
    /// The header names another algorithm or type than wascap's.
    #[error("the token's header is not the one of Ed25519 claims")]
    HeaderUnsupported,
    /// The signature is not the issuer's over this token.
    #[error("the signature is not {issuer}'s")]
    SignatureInvalid {
        /// Who is said to have signed.
        issuer: PublicKey,
    },
    /// What is signed has changed since it was signed.
    #[error("the module was changed after it was signed: claimed hash {claimed}, found {found}")]
    ModuleHashMismatch {
        /// The hash in the claims.
        claimed: String,
        /// The hash of the module at hand.
        found: Digest,
    },
    /// The claims are of a generation whose hash rule is lost, and the hash is not today's.
    #[error("signed by a wascap older than 0.10, whose hash cannot be checked: sign it again")]
    ModuleHashUnverifiable {
        /// The hash in the claims.
        claimed: String,
        /// The hash of the module at hand by today's rule.
        found: Digest,
    },
    /// The claims were valid until `expired_at`.
    #[error("the claims expired {} ago", span(.now.saturating_sub(*.expired_at)))]
    Expired {
        /// Last second of validity, in seconds since 1970.
        expired_at: u64,
        /// When this was checked.
        now: u64,
    },
    /// The claims become valid at `valid_from`.
    #[error("the claims are valid only in {}", span(.valid_from.saturating_sub(*.now)))]
    NotYetValid {
        /// First second of validity, in seconds since 1970.
        valid_from: u64,
        /// When this was checked.
        now: u64,
    },
    /// The issuer is not trusted here.
    #[error("the issuer {issuer} is not trusted: {why}")]
    IssuerNotTrusted {
        /// Who signed.
        issuer: PublicKey,
        /// Why that does not suffice.
        why: Distrust,
    },
    /// A key of this kind may not issue such claims, or the issuer is no key.
    #[error("claims of kind {claims} cannot be issued by {issuer:?}")]
    IssuerWrongKind {
        /// The kind of claims.
        claims: ClaimsKind,
        /// The issuer as written.
        issuer: String,
    },
    /// The subject is not a key of the kind these claims are about.
    #[error("claims of kind {claims} are about a key of kind {expected}, not {subject:?}")]
    SubjectWrongKind {
        /// The kind of claims.
        claims: ClaimsKind,
        /// The kind of key they are about.
        expected: KeyKind,
        /// The subject as written.
        subject: String,
    },
    /// The bytes are not a WebAssembly module or component.
    #[error("not a WebAssembly module: {what} at byte {offset}")]
    WasmMalformed {
        /// What is wrong.
        what: &'static str,
        /// Where, from the start of the (nested) module.
        offset: usize,
    },
    /// The bytes are not a provider archive.
    #[error("not a provider archive: {0}")]
    ArchiveMalformed(String),
    /// The archive unpacks to more than is allowed.
    #[error("the provider archive unpacks to more than {limit} bytes or entries")]
    ArchiveTooLarge {
        /// The limit it broke.
        limit: u64,
    },
    /// A file in the archive is not the one signed.
    #[error("the archive's file for {target} is not the one that was signed")]
    TargetHashMismatch {
        /// Platform, or `world.wasm`.
        target: String,
    },
    /// The archive has nothing for the platform asked for.
    #[error("the archive has no binary for {target}")]
    TargetMissing {
        /// Platform asked for.
        target: String,
    },
    /// The token of an invocation is about another invocation.
    #[error("the token is about another invocation: its {field} differs")]
    InvocationMismatch {
        /// Which statement differs.
        field: &'static str,
    },
    /// A key could not be read, made or used.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Why an issuer is not trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Distrust {
    /// Neither the key nor an operator's word for it is known here.
    #[error("nobody trusted here vouches for it")]
    Unknown,
    /// A trusted operator vouched for it, but not any more.
    #[error("the account's own claims have expired")]
    VoucherExpired,
    /// A trusted operator vouches for it, but only from later on.
    #[error("the account's own claims are not valid yet")]
    VoucherNotYetValid,
    /// The account is known, the operator that vouches for it is not trusted.
    #[error("the operator {0} that vouches for it is not trusted")]
    OperatorNotTrusted(PublicKey),
}

impl ClaimsError {
    /// Returns the stable name of this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing => "claims_missing",
            Self::Ambiguous => "claims_ambiguous",
            Self::TokenTooLarge { .. } => "token_too_large",
            Self::TokenMalformed(_) => "token_malformed",
            Self::ClaimsMalformed(_) => "claims_malformed",
            Self::HeaderUnsupported => "token_header_unsupported",
            Self::SignatureInvalid { .. } => "signature_invalid",
            Self::ModuleHashMismatch { .. } => "module_hash_mismatch",
            Self::ModuleHashUnverifiable { .. } => "module_hash_unverifiable",
            Self::Expired { .. } => "claims_expired",
            Self::NotYetValid { .. } => "claims_not_yet_valid",
            Self::IssuerNotTrusted { .. } => "issuer_not_trusted",
            Self::IssuerWrongKind { .. } => "issuer_wrong_kind",
            Self::SubjectWrongKind { .. } => "subject_wrong_kind",
            Self::WasmMalformed { .. } => "wasm_malformed",
            Self::ArchiveMalformed(_) => "archive_malformed",
            Self::ArchiveTooLarge { .. } => "archive_too_large",
            Self::TargetHashMismatch { .. } => "target_hash_mismatch",
            Self::TargetMissing { .. } => "target_missing",
            Self::InvocationMismatch { .. } => "invocation_mismatch",
            Self::Key(key) => key.code(),
        }
    }
}

/// Writes seconds in a unit that people count in.
fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} seconds"),
        120..7200 => format!("{} minutes", seconds / 60),
        7200..172_800 => format!("{} hours", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
