{
  base = "full";
  message = "address and gateway belong together";
  change =
    { lib, ... }:
    {
      services.hlhft.network.ipv4.gateway = lib.mkForce "";
    };
}
