//! Nym's Sphinx, from bytes to bytes.

use std::time::Duration;

use sphinx_packet::constants::{DESTINATION_ADDRESS_LENGTH, IDENTIFIER_LENGTH, NODE_ADDRESS_LENGTH};
use sphinx_packet::header::delays;
use sphinx_packet::payload::PAYLOAD_OVERHEAD_SIZE;
use sphinx_packet::route::{Destination, DestinationAddressBytes, Node, NodeAddressBytes};
use sphinx_packet::{ProcessedPacketData, SphinxPacket, SphinxPacketBuilder};
use x25519_dalek::{PublicKey, StaticSecret};

use crate::{Failure, Operation};

pub const HOPS: usize = 5;

/// Bytes of the payload as it is on the wire between two hops.
pub const PAYLOAD_SIZE: usize = 1024;

const UNWRAP_NOTE: &str = "Nym's Sphinx: X25519 by curve25519-dalek, HKDF- and HMAC-SHA-256, AES-128-CTR, LIONESS \
    of ChaCha20 and BLAKE2b over a payload of 1024 bytes (1007 of message); per hop 60 bytes: the next hop's address \
    of 32, a delay, a version, a MAC; from a packet's bytes to those of the next; the replay tag is derived with the \
    keys and not looked up";
const WRAP_NOTE: &str = "Nym's Sphinx as in unwrap, up to the packet's bytes, with the thread's random generator; 16 \
    multiplications for 5 hops, 1 of them of the base point";
const GROUP_NOTE: &str = "Nym's group operation alone, which an unwrap does twice: X25519 of any point, by \
    curve25519-dalek";

/// A path of hops, with their keys, and a message.
pub struct Path {
    keys: Vec<StaticSecret>,
    route: Vec<Node>,
    destination: Destination,
    delays: Vec<delays::Delay>,
    message: Vec<u8>,
    packet: Vec<u8>,
}

impl Path {
    /// Returns a path with new keys, and a packet for it that was seen to arrive.
    pub fn new() -> Result<Self, Failure> {
        let keys: Vec<_> = (0..HOPS).map(|_| StaticSecret::random()).collect();
        let route = keys
            .iter()
            .enumerate()
            .map(|(i, key)| {
                let address = NodeAddressBytes::from_bytes([i as u8 + 1; NODE_ADDRESS_LENGTH]);
                Node::new(address, PublicKey::from(key))
            })
            .collect();
        let address = DestinationAddressBytes::from_bytes([99; DESTINATION_ADDRESS_LENGTH]);
        let mut path = Path {
            keys,
            route,
            destination: Destination::new(address, [7; IDENTIFIER_LENGTH]),
            delays: delays::generate_from_average_duration(HOPS, Duration::from_millis(10)),
            message: (0..PAYLOAD_SIZE - PAYLOAD_OVERHEAD_SIZE).map(|i| i as u8).collect(),
            packet: Vec::new(),
        };
        path.packet = path.wrap()?;
        path.arrives(0, path.packet.clone())?;
        Ok(path)
    }

    pub fn packet_size(&self) -> usize {
        self.packet.len()
    }

    /// Returns what is measured. Each operation checks its outcome every time; what the first hop makes of the packet,
    /// and a packet that wrap made, were seen to arrive.
    pub fn operations(&self) -> Result<Vec<Operation<'_>>, Failure> {
        self.arrives(1, self.relay(0, &self.packet)?)?;
        self.arrives(0, self.wrap()?)?;
        let (one, other) = (&self.keys[0], self.route[1].pub_key);
        let secret = self.keys[1].diffie_hellman(&self.route[0].pub_key).to_bytes();
        Ok(vec![
            Operation::new("unwrap", UNWRAP_NOTE, || {
                let next = self.relay(0, &self.packet)?;
                check(next.len() == self.packet.len(), "a packet changes its size")
            }),
            Operation::new("wrap", WRAP_NOTE, || {
                let packet = self.wrap()?;
                check(packet.len() == self.packet.len(), "packets are of different sizes")
            }),
            Operation::new("x25519", GROUP_NOTE, move || {
                check(one.diffie_hellman(&other).to_bytes() == secret, "a wrong shared secret")
            }),
        ])
    }

    /// Makes a packet.
    fn wrap(&self) -> Result<Vec<u8>, Failure> {
        let builder = SphinxPacketBuilder::new().with_payload_size(PAYLOAD_SIZE);
        Ok(builder.build_packet(&self.message, &self.route, &self.destination, &self.delays)?.to_bytes())
    }

    /// Opens a packet at a hop before the last, and returns the next. Fails unless that has to go to the next hop.
    fn relay(&self, hop: usize, packet: &[u8]) -> Result<Vec<u8>, Failure> {
        match SphinxPacket::from_bytes(packet)?.process(&self.keys[hop])?.data {
            ProcessedPacketData::ForwardHop { next_hop_packet, next_hop_address, .. } => {
                check(next_hop_address == self.route[hop + 1].address, "a hop does not name the next hop")?;
                Ok(next_hop_packet.to_bytes())
            }
            ProcessedPacketData::FinalHop { .. } => Err("a hop takes itself for the last".into()),
        }
    }

    /// Sends a packet through the hops from the given one to the last, and fails unless that one gets the message.
    fn arrives(&self, from: usize, packet: Vec<u8>) -> Result<(), Failure> {
        let last = (from..HOPS - 1).try_fold(packet, |packet, hop| self.relay(hop, &packet))?;
        match SphinxPacket::from_bytes(&last)?.process(&self.keys[HOPS - 1])?.data {
            ProcessedPacketData::FinalHop { payload, .. } => {
                check(payload.recover_plaintext()? == self.message, "another message arrives than was sent")
            }
            ProcessedPacketData::ForwardHop { .. } => Err("the last hop sends the packet on".into()),
        }
    }
}

fn check(holds: bool, otherwise: &str) -> Result<(), Failure> {
    if holds {
        Ok(())
    } else {
        Err(otherwise.into())
    }
}
