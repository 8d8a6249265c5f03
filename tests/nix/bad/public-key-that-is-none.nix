{
  base = "full";
  message = "wireguard.peers.operator.publicKey";
  option = [
    "services"
    "hlhft"
    "wireguard"
    "peers"
    "operator"
    "publicKey"
  ];
  change =
    { lib, ... }:
    {
      services.hlhft.wireguard.peers.operator.publicKey = lib.mkForce "operator";
    };
}
