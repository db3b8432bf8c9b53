//! The rows of the commands on places.

use super::super::{Command, Flag, Group};
use super::{add, command, place};

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    Command::write("GEOADD", "@key [NX | XX] [CH] {longitude:double latitude:double member} ...", add::geoadd)
        .flags(&[Flag::DenyOom])
        .group(Group::Geo)
        .since("3.2.0")
        .cost("O(log(N)) for every member, N being the number of members")
        .key_flags(&["RW update"])
        .inline()
        .doc("Adds members at places to a sorted set, or gives those that are there another place."),
    Command::read("GEODIST", "@key member1 member2 [M | KM | FT | MI]", place::geodist)
        .group(Group::Geo)
        .since("3.2.0")
        .doc("Returns how far two members are apart."),
    Command::read("GEOHASH", "@key [member ...]", place::geohash)
        .group(Group::Geo)
        .since("3.2.0")
        .cost("O(1) for every member")
        .doc("Returns the places of members as standard geohashes."),
    Command::read("GEOPOS", "@key [member ...]", place::geopos)
        .group(Group::Geo)
        .since("3.2.0")
        .cost("O(1) for every member")
        .doc("Returns the longitude and latitude of members."),
    Command::read(
        "GEOSEARCH",
        "@key {FROMMEMBER member | FROMLONLAT {longitude:double latitude:double}} {BYRADIUS {radius:double {M | \
         KM | FT | MI}} | BYBOX {width:double height:double {M | KM | FT | MI}}} [ASC | DESC] [COUNT {count:int \
         [ANY]}] [WITHCOORD] [WITHDIST] [WITHHASH]",
        command::geosearch,
    )
    .group(Group::Geo)
    .since("6.2.0")
    .cost("O(N+log(M)), N being the number of members in the boxes around the area and M of those inside it")
    .doc("Returns the members inside a circle or a box."),
    Command::write(
        "GEOSEARCHSTORE",
        "@destination @source {FROMMEMBER member | FROMLONLAT {longitude:double latitude:double}} {BYRADIUS \
         {radius:double {M | KM | FT | MI}} | BYBOX {width:double height:double {M | KM | FT | MI}}} [ASC | DESC] \
         [COUNT {count:int [ANY]}] [STOREDIST]",
        command::geosearchstore,
    )
    .flags(&[Flag::DenyOom])
    .group(Group::Geo)
    .since("6.2.0")
    .cost("O(N+log(M)), N being the number of members in the boxes around the area and M of those inside it")
    .key_flags(&["OW update", "RO access"])
    .growth(command::search_bytes)
    .doc("Stores the members inside a circle or a box."),
    Command::write(
        "GEORADIUS",
        "@key longitude:double latitude:double radius:double {M | KM | FT | MI} [WITHCOORD] [WITHDIST] [WITHHASH] \
         [COUNT {count:int [ANY]}] [ASC | DESC] [STORE @storekey | STOREDIST @storedistkey]",
        command::georadius,
    )
    .flags(&[Flag::DenyOom])
    .group(Group::Geo)
    .since("3.2.0")
    .cost("O(N+log(M)), N being the number of members in the boxes around the area and M of those inside it")
    .key_flags(&["RO access", "OW update", "OW update"])
    .growth(command::radius_bytes)
    .doc("Returns or stores the members inside a circle."),
    Command::read(
        "GEORADIUS_RO",
        "@key longitude:double latitude:double radius:double {M | KM | FT | MI} [WITHCOORD] [WITHDIST] [WITHHASH] \
         [COUNT {count:int [ANY]}] [ASC | DESC]",
        command::georadius_ro,
    )
    .group(Group::Geo)
    .since("3.2.10")
    .cost("O(N+log(M)), N being the number of members in the boxes around the area and M of those inside it")
    .doc("Returns the members inside a circle."),
    Command::write(
        "GEORADIUSBYMEMBER",
        "@key member radius:double {M | KM | FT | MI} [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT {count:int [ANY]}] \
         [ASC | DESC] [STORE @storekey | STOREDIST @storedistkey]",
        command::georadiusbymember,
    )
    .flags(&[Flag::DenyOom])
    .group(Group::Geo)
    .since("3.2.0")
    .cost("O(N+log(M)), N being the number of members in the boxes around the area and M of those inside it")
    .key_flags(&["RO access", "OW update", "OW update"])
    .growth(command::radius_bytes)
    .doc("Returns or stores the members inside a circle around one of them."),
    Command::read(
        "GEORADIUSBYMEMBER_RO",
        "@key member radius:double {M | KM | FT | MI} [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT {count:int [ANY]}] \
         [ASC | DESC]",
        command::georadiusbymember_ro,
    )
    .group(Group::Geo)
    .since("3.2.10")
    .cost("O(N+log(M)), N being the number of members in the boxes around the area and M of those inside it")
    .doc("Returns the members inside a circle around one of them."),
];
