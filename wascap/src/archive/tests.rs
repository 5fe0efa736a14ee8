use std::io::Write;

use super::{
    read::{MAX_ENTRIES, read_bounded},
    *,
};
use crate::KeyKind;

const NOW: u64 = 1_000;

struct Signer {
    account: KeyPair,
    provider: KeyPair,
}

impl Signer {
    fn new() -> Self {
        let [account, provider] = [KeyKind::Account, KeyKind::Provider].map(|kind| KeyPair::generate(kind).unwrap());
        Self { account, provider }
    }

    fn policy(&self) -> TrustPolicy {
        TrustPolicy::new().trust_account(self.account.public_key()).unwrap()
    }

    fn claims(&self) -> Claims<Provider> {
        Claims::new(Provider::new("kv", "wasmcloud:keyvalue", "us").revision(3), self.provider.public_key(), NOW)
    }

    fn sign(&self, compression: Compression) -> Vec<u8> {
        sign_archive(&sample(), &self.claims(), &self.account, compression).unwrap()
    }

    /// A token over the sample's hashes.
    fn token(&self) -> String {
        read(&self.sign(Compression::None)).unwrap().1
    }
}

fn sample() -> Archive {
    let binaries = [("x86_64-linux", b"elf".to_vec()), ("aarch64-macos", vec![7; 5000])];
    let binaries = binaries.into_iter().map(|(target, bytes)| (target.to_owned(), bytes.into())).collect();
    Archive { binaries, world: Some(b"wit"[..].into()) }
}

/// A tar of regular files.
fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(bytes);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn what_was_signed_comes_out_again() {
    let signer = Signer::new();
    for compression in [Compression::None, Compression::Gzip] {
        let bytes = signer.sign(compression);
        assert_eq!(bytes.starts_with(&[0x1f, 0x8b]), compression == Compression::Gzip);
        let verified = verify_archive(&bytes, NOW, &signer.policy()).unwrap();
        assert_eq!(
            (verified.provider_id(), verified.issuer()),
            (signer.provider.public_key(), signer.account.public_key())
        );
        assert_eq!(verified.claims().metadata().revision, Some(3));
        assert_eq!(verified.targets().collect::<Vec<_>>(), ["aarch64-macos", "x86_64-linux"]);
        assert_eq!(&verified.binary("x86_64-linux").unwrap()[..], b"elf");
        assert_eq!(verified.binary("riscv64-linux").unwrap_err().code(), "target_missing");
        assert_eq!(verified.world().map(|world| &world[..]), Some(&b"wit"[..]));
    }
}

#[test]
fn each_refusal_has_its_name() {
    let signer = Signer::new();
    let token = signer.token();
    let code = |files: &[(&str, &[u8])]| verify_archive(&tar(files), NOW, &signer.policy()).unwrap_err().code();
    let claims = ("claims.jwt", token.as_bytes());
    assert_eq!(code(&[("x86_64-linux.bin", b"elf")]), "claims_missing");
    assert_eq!(code(&[claims]), "archive_malformed");
    assert_eq!(code(&[claims, ("x86_64-linux.bin", b"evil")]), "target_hash_mismatch");
    assert_eq!(code(&[claims, ("riscv64-linux.bin", b"elf")]), "target_hash_mismatch");
    assert_eq!(code(&[claims, ("x86_64-linux.bin", b"elf"), ("world.wasm", b"evil")]), "target_hash_mismatch");
    assert_eq!(code(&[claims, ("x86_64-linux.bin", b"elf"), ("x86_64-linux.bin", b"elf")]), "archive_malformed");
    assert_eq!(code(&[claims, claims, ("x86_64-linux.bin", b"elf")]), "archive_malformed");
    assert_eq!(code(&[("claims.jwt", b"\xff"), ("x86_64-linux.bin", b"elf")]), "token_malformed");
    assert_eq!(code(&[("claims.jwt", &vec![b'a'; crate::MAX_TOKEN_LEN + 1])]), "archive_too_large");
    let good = tar(&[("./claims.jwt", token.as_bytes()), ("x86_64-linux.bin", b"elf")]);
    assert!(verify_archive(&good, NOW, &signer.policy()).is_ok());
    assert_eq!(verify_archive(&good, NOW, &TrustPolicy::new()).unwrap_err().code(), "issuer_not_trusted");
    assert_eq!(verify_archive(b"no tar at all", NOW, &signer.policy()).unwrap_err().code(), "archive_malformed");
}

#[test]
fn names_are_never_paths_and_links_never_followed() {
    let signer = Signer::new();
    let token = signer.token();
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.as_old_mut().name[..16].copy_from_slice(b"aarch64-mac2.bin");
    link.set_size(0);
    link.set_cksum();
    let files = tar(&[
        ("claims.jwt", token.as_bytes()),
        ("../../etc/cron.d/x.bin", b"evil"),
        ("/abs-olute.bin", b"evil"),
        (".bin", b"evil"),
        ("README", b"read me"),
        ("x86_64-linux.bin", b"elf"),
    ]);
    let verified = verify_archive(&[link.as_bytes(), &files[..]].concat(), NOW, &signer.policy()).unwrap();
    assert_eq!(verified.targets().collect::<Vec<_>>(), ["x86_64-linux"]);
}

#[test]
fn bombs_end_at_the_limit() {
    let limit = 100_000;
    let code = |bytes: &[u8]| read_bounded(bytes, limit).unwrap_err().code();
    let zeros = vec![0; 1_000_000];
    assert_eq!(code(&gzip(&tar(&[("x86_64-linux.bin", &zeros)]))), "archive_too_large");
    assert_eq!(code(&gzip(&tar(&[("README", &zeros)]))), "archive_too_large");
    let many: Vec<_> = (0..=MAX_ENTRIES).map(|_| ("README", &b""[..])).collect();
    assert_eq!(code(&tar(&many)), "archive_too_large");
}

#[test]
fn a_sparse_file_is_passed_over() {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNUSparse);
    header.as_old_mut().name[..16].copy_from_slice(b"x86_64-linux.bin");
    header.set_size(0);
    let sparse = header.as_gnu_mut().unwrap();
    sparse.realsize = *b"77777777777\0";
    sparse.sparse[0].offset = *b"77777777777\0";
    sparse.sparse[0].numbytes = *b"00000000000\0";
    header.set_cksum();
    let bytes = [header.as_bytes(), &tar(&[])[..]].concat();
    assert_eq!(read(&bytes).unwrap_err().code(), "claims_missing");
}

#[test]
fn no_cut_archive_panics_or_loses_a_file_unnoticed() {
    let signer = Signer::new();
    for compression in [Compression::None, Compression::Gzip] {
        let bytes = signer.sign(compression);
        for len in 0..bytes.len() {
            if let Ok(verified) = verify_archive(&bytes[..len], NOW, &signer.policy()) {
                assert!(verified.binary("aarch64-macos").is_ok(), "cut to {len}: what is there was signed");
            }
        }
    }
}

#[test]
fn no_flipped_byte_changes_a_file() {
    let signer = Signer::new();
    let bytes = signer.sign(Compression::None);
    let expected = sample();
    // All of the headers and the token, and a sample of the long binary.
    for i in (0..bytes.len()).filter(|i| *i < 4096 || i % 97 == 0) {
        let mut broken = bytes.clone();
        broken[i] ^= 0x41;
        if let Ok(verified) = verify_archive(&broken, NOW, &signer.policy()) {
            for target in verified.targets() {
                assert_eq!(verified.binary(target).unwrap(), &expected.binaries[target], "byte {i}");
            }
        }
    }
}

#[test]
fn only_what_can_be_read_again_is_written() {
    let signer = Signer::new();
    let code = |archive: &Archive| {
        sign_archive(archive, &signer.claims(), &signer.account, Compression::None).unwrap_err().code()
    };
    assert_eq!(code(&Archive::default()), "archive_malformed");
    for target in ["", "../x", "a/b", "x86 linux"] {
        let archive = Archive { binaries: [(target.into(), b""[..].into())].into(), world: None };
        assert_eq!(code(&archive), "archive_malformed", "{target:?}");
    }
    assert_eq!(signer.sign(Compression::None).len() % 512, 0);
}
