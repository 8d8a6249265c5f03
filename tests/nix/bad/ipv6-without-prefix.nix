{
  base = "full";
  message = "has no prefix";
  change =
    { lib, ... }:
    {
      services.hlhft.network.ipv6 = lib.mkForce "2001:db8::10";
    };
}
