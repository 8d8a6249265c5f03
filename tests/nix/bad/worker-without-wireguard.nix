{
  base = "worker";
  message = "listens inside WireGuard only";
  change =
    { lib, ... }:
    {
      services.hlhft.wireguard.enable = lib.mkForce false;
    };
}
