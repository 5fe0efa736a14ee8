//! Provider archives.

use provider_archive::ProviderArchive;
use wattle_wascap::{
    Archive, Claims, Compression, KeyKind, KeyPair, Provider, current_target, sign_archive, verify_archive,
};

use crate::{now, trusting, twin};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

#[test]
fn what_they_pack_holds_here() {
    let (account, their_account) = twin(KeyKind::Account);
    let (provider, their_provider) = twin(KeyKind::Provider);
    let folder = tempfile::tempdir().unwrap();
    for (file, compressed) in [("a.par", false), ("b.par.gz", true)] {
        let mut archive = ProviderArchive::new("kv", "them", Some(4), Some("1.0".into()));
        archive.add_library(&current_target(), b"elf").unwrap();
        archive.add_library("aarch64-macos", &[7; 100_000]).unwrap();
        archive.add_wit_world(b"wit").unwrap();
        let path = folder.path().join(file);
        runtime().block_on(archive.write(&path, &their_account, &their_provider, compressed)).unwrap();

        let verified = verify_archive(&std::fs::read(path).unwrap(), now(), &trusting(&account)).unwrap();
        assert_eq!(verified.provider_id(), provider.public_key());
        assert_eq!(&verified.binary(&current_target()).unwrap()[..], b"elf");
        assert_eq!(verified.binary("aarch64-macos").unwrap().len(), 100_000);
        assert_eq!(verified.world().map(|world| &world[..]), Some(&b"wit"[..]));
        assert_eq!((verified.claims().metadata().revision, verified.targets().count()), (Some(4), 2));
    }
}

#[test]
fn what_we_pack_holds_there() {
    let [account, provider] = [KeyKind::Account, KeyKind::Provider].map(|kind| KeyPair::generate(kind).unwrap());
    let claims = Claims::new(Provider::new("kv", "wasmcloud:keyvalue", "us").revision(2), provider.public_key(), now());
    let binaries = [("x86_64-linux".to_owned(), b"elf"[..].into()), ("aarch64-linux".to_owned(), b"arm"[..].into())];
    let archive = Archive { binaries: binaries.into(), world: Some(b"wit"[..].into()) };
    for compression in [Compression::None, Compression::Gzip] {
        let bytes = sign_archive(&archive, &claims, &account, compression).unwrap();
        let read = runtime().block_on(ProviderArchive::try_load(&bytes)).unwrap();
        assert_eq!(read.claims().unwrap().subject, provider.public_key().to_string());
        assert_eq!(read.target_bytes("aarch64-linux").unwrap(), b"arm");
        assert_eq!(read.wit_world(), Some(&b"wit"[..]));
        let one = runtime().block_on(ProviderArchive::try_load_target(&bytes, "x86_64-linux")).unwrap();
        assert_eq!(one.targets(), ["x86_64-linux"]);
    }
}
