{
  base = "full";
  message = "a dedicated machine has one static address";
  change =
    { lib, ... }:
    {
      services.hlhft.network.ipv4 = lib.mkForce {
        address = "";
        gateway = "";
      };
    };
}
