{
  base = "full";
  message = "two peers have one key";
  change =
    { lib, ... }:
    {
      services.hlhft.wireguard.peers.operator.publicKey =
        lib.mkForce (lib.importJSON ../../../nixos/hosts/watchtower/keys.json).wireguard;
    };
}
