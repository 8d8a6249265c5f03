{
  base = "full";
  message = "account.address is not set: on mainnet";
  change =
    { lib, ... }:
    {
      services.hlhft.settings.account = {
        network = lib.mkForce "mainnet";
        address = lib.mkForce "";
      };
    };
}
