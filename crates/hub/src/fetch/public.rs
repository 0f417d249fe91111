//! Which addresses are public: those that neither belong to a private or local network nor translate to one.
//!
//! By the special-purpose registries of IANA (RFC 6890 and those that changed it).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Networks of IPv4 that are not public: address and length of the prefix.
const IPV4: [([u8; 4], u32); 17] = [
    // This host on this network.
    ([0, 0, 0, 0], 8),
    // Private use.
    ([10, 0, 0, 0], 8),
    // Carrier-grade NAT.
    ([100, 64, 0, 0], 10),
    // Loopback.
    ([127, 0, 0, 0], 8),
    // Link-local, with the metadata services of clouds.
    ([169, 254, 0, 0], 16),
    // Private use.
    ([172, 16, 0, 0], 12),
    // Protocol assignments.
    ([192, 0, 0, 0], 24),
    // Documentation.
    ([192, 0, 2, 0], 24),
    // Anycast of AS112 and of AMT; the former 6to4 relays.
    ([192, 31, 196, 0], 24),
    ([192, 52, 193, 0], 24),
    ([192, 88, 99, 0], 24),
    // Private use.
    ([192, 168, 0, 0], 16),
    // Benchmarks.
    ([198, 18, 0, 0], 15),
    // Documentation.
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    // Multicast.
    ([224, 0, 0, 0], 4),
    // Reserved, and broadcast.
    ([240, 0, 0, 0], 4),
];

/// Networks inside of the global unicast range of IPv6 that are not public, or that hold an address of IPv4.
const IPV6: [([u16; 4], u32); 6] = [
    // Protocol assignments, with Teredo, benchmarks and ORCHID.
    ([0x2001, 0, 0, 0], 23),
    // Documentation.
    ([0x2001, 0xdb8, 0, 0], 32),
    // 6to4.
    ([0x2002, 0, 0, 0], 16),
    // Anycast of AS112.
    ([0x2620, 0x4f, 0x8000, 0], 48),
    // Documentation.
    ([0x3fff, 0, 0, 0], 20),
    // The former 6bone.
    ([0x3ffe, 0, 0, 0], 16),
];

/// Whether an address is public: reachable from everywhere, and no other address in disguise.
///
/// Of IPv6 only the global unicast range (2000::/3) can be public. Outside of it lie loopback, IPv4-mapped and
/// IPv4-compatible addresses, NAT64 (64:ff9b::/96 and 64:ff9b:1::/48), unique-local, link-local, site-local and
/// multicast addresses.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    !IPV4.iter().any(|&(network, length)| (bits ^ u32::from_be_bytes(network)) >> (32 - length) == 0)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // The first half holds every prefix of the table.
    let bits = (address.to_bits() >> 64) as u64;
    let half = |words: [u16; 4]| words.iter().fold(0u64, |bits, &word| bits << 16 | u64::from(word));
    bits >> 61 == 1 && !IPV6.iter().any(|&(network, length)| (bits ^ half(network)) >> (64 - length) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test for each range: its first and last address, and their neighbors outside where they are public.
    macro_rules! ranges {
        ($($name:ident: $inside:expr, $outside:expr;)*) => { $(
            #[test]
            fn $name() {
                let inside: &[&str] = &$inside;
                let outside: &[&str] = &$outside;
                for text in inside {
                    assert!(!is_public(text.parse().unwrap()), "{text}");
                }
                for text in outside {
                    assert!(is_public(text.parse().unwrap()), "{text}");
                }
            }
        )* };
    }

    ranges! {
        this_network_is_not_public: ["0.0.0.0", "0.255.255.255"], ["1.0.0.0"];
        private_10_is_not_public: ["10.0.0.0", "10.255.255.255"], ["9.255.255.255", "11.0.0.0"];
        carrier_nat_is_not_public: ["100.64.0.0", "100.127.255.255"], ["100.63.255.255", "100.128.0.0"];
        loopback_is_not_public: ["127.0.0.0", "127.0.0.1", "127.255.255.255"], ["126.255.255.255", "128.0.0.0"];
        link_local_is_not_public: ["169.254.0.0", "169.254.169.254", "169.254.255.255"], ["169.253.255.255", "169.255.0.0"];
        private_172_is_not_public: ["172.16.0.0", "172.31.255.255"], ["172.15.255.255", "172.32.0.0"];
        protocol_assignments_are_not_public: ["192.0.0.0", "192.0.0.8", "192.0.0.255"], ["191.255.255.255", "192.0.1.0"];
        documentation_is_not_public: ["192.0.2.0", "198.51.100.255", "203.0.113.7"], ["192.0.3.0", "198.51.101.0", "203.0.114.0"];
        anycast_and_relays_are_not_public: ["192.31.196.1", "192.52.193.1", "192.88.99.1"], ["192.88.98.255", "192.88.100.0"];
        private_192_is_not_public: ["192.168.0.0", "192.168.255.255"], ["192.167.255.255", "192.169.0.0"];
        benchmarks_are_not_public: ["198.18.0.0", "198.19.255.255"], ["198.17.255.255", "198.20.0.0"];
        multicast_is_not_public: ["224.0.0.0", "239.255.255.255"], ["223.255.255.255"];
        reserved_is_not_public: ["240.0.0.0", "255.255.255.255"], [];
        ordinary_addresses_are_public: [], ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::34", "2a00::1", "2001:4860:4860::8888"];
        ipv6_loopback_and_unspecified_are_not_public: ["::", "::1"], [];
        ipv4_mapped_is_not_public: ["::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:93.184.216.34"], [];
        ipv4_compatible_is_not_public: ["::127.0.0.1", "::10.0.0.5", "::93.184.216.34"], [];
        ipv4_translated_is_not_public: ["::ffff:0:127.0.0.1"], [];
        nat64_is_not_public: ["64:ff9b::10.0.0.5", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "64:ff9b:1:ffff::1"], [];
        six_to_four_is_not_public: ["2002:7f00:1::1", "2002:ffff::1"], ["2003::1"];
        teredo_is_not_public: ["2001:0:7f00:1::1", "2001::1"], [];
        ipv6_assignments_are_not_public: ["2001:2::1", "2001:10::1", "2001:20::1", "2001:1ff:ffff::1"], ["2001:200::1"];
        ipv6_documentation_is_not_public: ["2001:db8::1", "3fff::1", "3fff:fff::1"], ["2001:db9::1", "3fff:1000::1"];
        discard_only_is_not_public: ["100::1", "100:0:0:1::1"], [];
        segment_routing_is_not_public: ["5f00::1"], [];
        unique_local_is_not_public: ["fc00::1", "fd00::5", "fdff:ffff::1"], [];
        ipv6_link_local_is_not_public: ["fe80::1", "febf::1"], [];
        site_local_is_not_public: ["fec0::5", "feff::1"], [];
        ipv6_multicast_is_not_public: ["ff02::1", "ff0e::1"], [];
        unassigned_ipv6_is_not_public: ["4000::1", "1::1", "e000::1"], [];
        former_6bone_is_not_public: ["3ffe::1"], [];
    }
}
