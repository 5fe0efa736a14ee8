use super::*;

/// Public key and seed of the secret bytes 00 01 .. 1f, made by `nkeys` 0.4.5 and a separate Python implementation.
const VECTORS: [(KeyKind, &str, &str); 7] = [
    (
        KeyKind::Host,
        "NAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RSWB",
        "SNAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H2D5U",
    ),
    (
        KeyKind::Cluster,
        "CAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3R53J",
        "SCAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4HYO7Q",
    ),
    (
        KeyKind::Operator,
        "OAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3QZVT",
        "SOAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H2AJA",
    ),
    (
        KeyKind::Module,
        "MAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLXP",
        "SMAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H2CRY",
    ),
    (
        KeyKind::Account,
        "AAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3QPZV",
        "SAAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4HYMHI",
    ),
    (
        KeyKind::User,
        "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK",
        "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y",
    ),
    (
        KeyKind::Provider,
        "VAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RSLE",
        "SVAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H76SU",
    ),
];

fn secret() -> [u8; 32] {
    std::array::from_fn(|i| i as u8)
}

#[test]
fn writes_and_reads_the_reference_vectors() {
    for (kind, public, seed) in VECTORS {
        let pair = KeyPair::from_seed_bytes(kind, secret()).unwrap();
        assert_eq!(pair.public_key().to_string(), public);
        assert_eq!(pair.seed(), seed);
        assert_eq!(KeyPair::from_seed(seed).unwrap().public_key(), public.parse().unwrap());
    }
}

#[test]
fn a_signature_verifies_only_over_its_message() {
    let pair = KeyPair::generate(KeyKind::Account).unwrap();
    let signature = pair.sign(b"message");
    assert_eq!(pair.public_key().verify(b"message", &signature), Ok(true));
    assert_eq!(pair.public_key().verify(b"massage", &signature), Ok(false));
}

#[test]
fn each_damage_has_its_name() {
    let (_, public, seed) = VECTORS[4];
    let parse = |text: &str| text.parse::<PublicKey>().unwrap_err();
    assert_eq!(parse(&public[1..]), KeyError::Length { expected: 56, found: 55 });
    assert_eq!(parse(&public.to_lowercase()), KeyError::Alphabet);
    assert_eq!(parse(&public.replace("PZV", "PZW")), KeyError::Checksum);
    assert_eq!(parse(&encode(&[0x18], &[0; 32])), KeyError::Prefix);
    assert_eq!(parse(seed), KeyError::NotASeed);
    assert_eq!(KeyPair::from_seed(public).unwrap_err(), KeyError::NotASeed);
    let key: PublicKey = public.parse().unwrap();
    assert_eq!(
        key.expect_kind(KeyKind::Module),
        Err(KeyError::Kind { expected: KeyKind::Module, found: KeyKind::Account })
    );
}

#[test]
fn debug_never_shows_the_seed() {
    let pair = KeyPair::from_seed_bytes(KeyKind::Account, secret()).unwrap();
    assert!(!format!("{pair:?}").contains(&pair.seed()));
}
