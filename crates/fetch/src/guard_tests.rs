//! The tricks: every spelling of an address off limits that a URL can carry, and its public neighbours.

use super::*;
use url::{Host, Url};

/// The zone of the host of a URL, as the `url` crate reads it; `None` for public addresses and for names.
fn zone_of(url: &str) -> Option<Zone> {
    let url = Url::parse(url).expect(url);
    match url.host().expect("host") {
        Host::Ipv4(ip) => zone(ip.into()),
        Host::Ipv6(ip) => zone(ip.into()),
        Host::Domain(name) => is_localhost(name).then_some(Zone::Loopback),
    }
}

#[test]
fn every_trick_is_seen_through() {
    use Zone::*;
    for (url, zone) in [
        // Loopback in every spelling.
        ("http://127.0.0.1/", Loopback),
        ("http://127.0.0.1./", Loopback),
        ("http://127.1/", Loopback),
        ("http://127.0.1/", Loopback),
        ("http://127.255.255.254/", Loopback),
        ("http://2130706433/", Loopback),
        ("http://017700000001/", Loopback),
        ("http://0177.0.0.1/", Loopback),
        ("http://0177.0.0.01/", Loopback),
        ("http://0x7f000001/", Loopback),
        ("http://0x7f.1/", Loopback),
        ("http://0x7f.0.0.0x1/", Loopback),
        ("http://0X7F.1/", Loopback),
        ("http://%31%32%37.0.0.1/", Loopback),
        ("http://127%2e0%2e0%2e1/", Loopback),
        ("http://127.0.0.1:80@127.0.0.1/", Loopback),
        ("http://example.com@127.0.0.1/", Loopback),
        ("http://example.com%40127.0.0.1@127.0.0.1/", Loopback),
        ("http://example.com:80@127.0.0.1:8080/", Loopback),
        ("http:\\\\127.0.0.1\\", Loopback),
        ("http:127.0.0.1", Loopback),
        ("http:///127.0.0.1/", Loopback),
        ("http://127.0.0.1#@example.com/", Loopback),
        ("http://127.0.0.1?@example.com/", Loopback),
        ("http://127.0.0.1\\@example.com/", Loopback),
        ("http://\t127.0.0.1/", Loopback),
        ("http://127.0.\n0.1/", Loopback),
        ("http://\u{ff11}27.0.0.1/", Loopback),
        ("http://①②⑦.⓪.⓪.①/", Loopback),
        ("http://127。0。0。1/", Loopback),
        ("http://127．0．0．1/", Loopback),
        ("http://127｡0｡0｡1/", Loopback),
        ("http://%6cocalhost/", Loopback),
        ("http://user:pass@localhost/", Loopback),
        ("http://0x7f.0.1/", Loopback),
        ("http://[0:0:0:0:0:ffff:7f00:1]/", Loopback),
        ("http://[2001:0:0808:0808::80ff:fffe]/", Loopback),
        ("http://[2a00::5efe:127.0.0.1]/", Loopback),
        ("http://localhost/", Loopback),
        ("http://LOCALHOST/", Loopback),
        ("http://localhost./", Loopback),
        ("http://a.localhost/", Loopback),
        ("http://a.b.localhost.:8080/", Loopback),
        ("http://loc\u{ad}alhost/", Loopback),
        ("http://ｌocalhost/", Loopback),
        ("http://[::1]/", Loopback),
        ("http://[0:0:0:0:0:0:0:1]/", Loopback),
        ("http://[::0001]/", Loopback),
        ("http://[::ffff:127.0.0.1]/", Loopback),
        ("http://[::ffff:7f00:1]/", Loopback),
        ("http://[::127.0.0.1]/", Loopback),
        ("http://[::ffff:0:127.0.0.1]/", Loopback),
        ("http://[64:ff9b::127.0.0.1]/", Loopback),
        ("http://[64:ff9b::7f00:1]/", Loopback),
        ("http://[2002:7f00:1::]/", Loopback),
        ("http://[2002:7f00:0001::1]/", Loopback),
        ("http://[2001:0:7f00:1::]/", Loopback),
        // This host.
        ("http://0/", Unspecified),
        ("http://0.0.0.0/", Unspecified),
        ("http://0x0/", Unspecified),
        ("http://00000000000/", Unspecified),
        ("http://0.1.2.3/", Unspecified),
        ("http://[::]/", Unspecified),
        ("http://[::ffff:0.0.0.0]/", Unspecified),
        // Private.
        ("http://10.0.0.1/", Private),
        ("http://10.255.255.255/", Private),
        ("http://012.0.0.1/", Private),
        ("http://167772161/", Private),
        ("http://172.16.0.1/", Private),
        ("http://172.31.255.255/", Private),
        ("http://192.168.0.1/", Private),
        ("http://3232235521/", Private),
        ("http://0xc0a80001/", Private),
        ("http://192.168.257/", Private),
        ("http://[::ffff:10.0.0.1]/", Private),
        ("http://[64:ff9b::10.0.0.1]/", Private),
        ("http://[64:ff9b:1::1]/", Private),
        ("http://[2002:0a00:0001::]/", Private),
        ("http://[2001:0:0808:0808::f5ff:fffe]/", Private),
        ("http://[2a00::5efe:10.0.0.1]/", Private),
        ("http://[2a00::200:5efe:192.168.0.1]/", Private),
        ("http://[fc00::1]/", Private),
        ("http://[fd12:3456::1]/", Private),
        // Carrier NAT.
        ("http://100.64.0.1/", CarrierNat),
        ("http://100.127.255.255/", CarrierNat),
        ("http://[::ffff:100.64.0.1]/", CarrierNat),
        // Link-local and metadata.
        ("http://169.254.0.1/", LinkLocal),
        ("http://[fe80::1]/", LinkLocal),
        ("http://[febf::1]/", LinkLocal),
        ("http://169.254.169.254/", Metadata),
        ("http://2852039166/", Metadata),
        ("http://0xa9fea9fe/", Metadata),
        ("http://0251.0376.0251.0376/", Metadata),
        ("http://169.254.43518/", Metadata),
        ("http://169.16689662/", Metadata),
        ("http://[::ffff:169.254.169.254]/", Metadata),
        ("http://[::ffff:a9fe:a9fe]/", Metadata),
        ("http://[::a9fe:a9fe]/", Metadata),
        ("http://[64:ff9b::a9fe:a9fe]/", Metadata),
        ("http://[2002:a9fe:a9fe::]/", Metadata),
        ("http://[fd00:ec2::254]/", Metadata),
        ("http://169.254.170.2/", Metadata),
        ("http://100.100.100.200/", Metadata),
        ("http://192.0.0.192/", Metadata),
        ("http://168.63.129.16/", Metadata),
        // The rest of the registries.
        ("http://224.0.0.1/", Multicast),
        ("http://239.255.255.250/", Multicast),
        ("http://[ff02::1]/", Multicast),
        ("http://255.255.255.255/", Broadcast),
        ("http://4294967295/", Broadcast),
        ("http://192.0.2.1/", Documentation),
        ("http://198.51.100.1/", Documentation),
        ("http://203.0.113.1/", Documentation),
        ("http://[2001:db8::1]/", Documentation),
        ("http://[3fff::1]/", Documentation),
        ("http://198.18.0.1/", Benchmarking),
        ("http://198.19.255.255/", Benchmarking),
        ("http://[2001:2::1]/", Benchmarking),
        ("http://[fec0::1]/", SiteLocal),
        ("http://192.0.0.1/", Reserved),
        ("http://192.88.99.1/", Reserved),
        ("http://240.0.0.1/", Reserved),
        ("http://254.1.1.1/", Reserved),
        ("http://[100::1]/", Reserved),
        ("http://[2001:10::1]/", Reserved),
        ("http://[5f00::1]/", Reserved),
        ("http://[4000::1]/", Reserved),
        ("http://[::8.8.8.8]/", Reserved),
    ] {
        assert_eq!(zone_of(url), Some(zone), "{url}");
    }
}

#[test]
fn zones_are_no_part_of_a_host() {
    for url in
        ["http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/", "http://[::1%25lo]/", "http://[::1%lo]:80/"]
    {
        assert!(Url::parse(url).is_err(), "{url}");
    }
}

#[test]
fn the_public_neighbours_stay_open() {
    for url in [
        "http://example.com/",
        "http://127.0.0.1.example.com/",
        "http://127.0.0.1.nip.io/",
        "http://localhost.example.com/",
        "http://notlocalhost/",
        "http://1.1.1.1/",
        "http://8.8.8.8/",
        "http://9.255.255.255/",
        "http://11.0.0.0/",
        "http://100.63.255.255/",
        "http://100.128.0.0/",
        "http://126.255.255.255/",
        "http://128.0.0.0/",
        "http://169.253.255.255/",
        "http://169.255.0.0/",
        "http://172.15.255.255/",
        "http://172.32.0.0/",
        "http://192.167.255.255/",
        "http://192.169.0.0/",
        "http://198.17.255.255/",
        "http://198.20.0.0/",
        "http://223.255.255.255/",
        "http://[2606:4700:4700::1111]/",
        "http://[2001:4860:4860::8888]/",
        "http://[::ffff:8.8.8.8]/",
        "http://[64:ff9b::8.8.8.8]/",
        "http://[2002:0808:0808::1]/",
    ] {
        assert_eq!(zone_of(url), None, "{url}");
    }
}

#[test]
fn names_of_other_scripts_are_not_cut_apart() {
    assert!(!is_localhost("ä"));
    assert!(!is_localhost("日本語日本語"));
    assert!(!is_localhost(""));
}

#[test]
fn one_address_off_limits_spoils_the_name() {
    let guard = Guard::default();
    let public: SocketAddr = "8.8.8.8:80".parse().expect("address");
    let private: SocketAddr = "10.0.0.1:80".parse().expect("address");
    assert_eq!(guard.check_all(&[public]), Ok(()));
    assert_eq!(
        guard.check_all(&[public, private]),
        Err(Refusal { address: private.ip(), zone: Zone::Private })
    );
}

#[test]
fn the_operator_opens_a_range_for_a_port() {
    let guard = Guard::new(AllowList::parse(&["127.0.0.1:8080"]).expect("list"));
    assert_eq!(guard.check(([127, 0, 0, 1], 8080).into()), Ok(()));
    let refusal = guard.check(([127, 0, 0, 1], 22).into()).expect_err("closed");
    assert_eq!(refusal.to_string(), "127.0.0.1 is a loopback address, which is off limits");
}

proptest::proptest! {
    #[test]
    fn an_address_is_judged_alike_bare_and_mapped(bits: u32) {
        let ip = Ipv4Addr::from(bits);
        proptest::prop_assert_eq!(zone(ip.into()), zone(ip.to_ipv6_mapped().into()));
    }

    #[test]
    fn public_ipv6_is_global_unicast_or_carries_public_ipv4(bits: u128) {
        let ip = Ipv6Addr::from(bits);
        if zone(ip.into()).is_none() {
            let first = ip.segments()[0];
            proptest::prop_assert!((0x2000..=0x3fff).contains(&first) || first == 0x64 || ip.to_ipv4_mapped().is_some());
        }
    }
}
