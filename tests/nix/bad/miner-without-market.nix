{
  base = "full";
  message = "miner.coins names no market";
  change =
    { lib, ... }:
    {
      services.hlhft.miner.coins = lib.mkForce [ ];
    };
}
